"""The steps of a pipeline on a cluster: their environment and their scratch folder. A local run ignores all of it."""

from kfp import dsl, kubernetes
from kfp.dsl.pipeline_context import Pipeline

SETTINGS, SECRETS = "segue-settings", "segue-secrets"  # the ConfigMap and the Secret of k8s/base
SETTING_VARIABLES = (
    "SEGUE_HOME",
    "SEGUE_PROFILE",
    "SEGUE_ONLINE_STORE",
    "SEGUE_REGISTRY",
    "SEGUE_TRACKING",
    "SEGUE_OBJECTS",
    "SEGUE_OBJECTS_ENDPOINT",
    "SEGUE_OBJECTS_REGION",
)
SECRET_VARIABLES = (
    "SEGUE_ONLINE_STORE_PASSWORD",
    "SEGUE_REGISTRY_PASSWORD",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
)
RUN_ID = "metadata.labels['pipeline/runid']"  # a label that Kubeflow puts on the pods of a run
SCRATCH = "/tmp"  # the home and temporary files of a step, which has a read-only root
# Steps whose outputs follow from their inputs alone. A cached step leaves no record in the run, so one that the report
# reads, or that looks at the home, is never cached.
PURE = {"build-features", "make-training-set"}


def place_steps() -> None:
    """Place all steps of the pipeline that is being defined; the last line of each pipeline's function."""
    for task in Pipeline.get_default_pipeline().tasks.values():
        place(task)


def place(task: dsl.PipelineTask) -> None:
    """Give a step its environment and a scratch folder; reuse its outputs only if it is pure."""
    task.set_caching_options(task.name in PURE)
    kubernetes.use_config_map_as_env(task, SETTINGS, {name: name for name in SETTING_VARIABLES})
    kubernetes.use_secret_as_env(task, SECRETS, {name: name for name in SECRET_VARIABLES})
    kubernetes.use_field_path_as_env(task, "SEGUE_RUN_ID", RUN_ID)
    kubernetes.empty_dir_mount(task, volume_name="scratch", mount_path=SCRATCH)
