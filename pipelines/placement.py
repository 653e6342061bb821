"""The volume with the home, which each step of a pipeline mounts on a cluster."""

from kfp import dsl, kubernetes

CLAIM = "segue-home"  # the claim in k8s/base that holds the home
MOUNT = "/segue"


def mount_home(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """Mount the home into a step, and return the step. A local run ignores the mount."""
    kubernetes.mount_pvc(task, pvc_name=CLAIM, mount_path=MOUNT)
    return task
