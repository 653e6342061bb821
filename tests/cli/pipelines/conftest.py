"""The server of Kubeflow's API."""

from tests.support.fake_kubeflow import kubeflow

__all__ = ["kubeflow"]
