"""Where a step runs on a cluster: with the home's volume, and nothing of the machine it came from."""

from kfp import dsl, kubernetes

CLAIM = "segue-home"  # the claim in k8s/base that holds the home
MOUNT = "/segue"


def placed(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """Mount the home into a step; a local run takes no notice."""
    kubernetes.mount_pvc(task, pvc_name=CLAIM, mount_path=MOUNT)
    return task
