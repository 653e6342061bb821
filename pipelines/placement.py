"""The steps of a pipeline on a cluster: resources, time, attempts, user, environment and scratch folder.

A local run ignores all of it.
"""

from dataclasses import dataclass

from kfp import dsl, kubernetes
from kfp.dsl.pipeline_context import Pipeline

from workloads.run import RETRIES

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
    "SEGUE_MODELS",
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
PURE = {"make-training-set"}
USER = 10001  # of the image
BACKOFF = "30s"  # before the first repetition of a step, twice as long before the second: a store restarts meanwhile
MINUTE = 60


@dataclass(frozen=True)
class Needs:
    """What a step needs: what its node reserves, the limits that end or slow it, and the longest time for one attempt.

    Attributes:
        memory: the memory that is reserved.
        most_memory: the memory at which the step is killed.
        cpu: the cores that are reserved. A step has at most four times as many.
        minutes: the time until an attempt is ended, with the pull of the image.
    """

    memory: str
    most_memory: str
    cpu: float
    minutes: int


# Measured as `peak_mib` and `cpu_seconds` of a step's record, on the nano world (6,243 events): 38 to 351 MiB for steps
# without TensorFlow, 998 to 1,808 MiB for those with it, and 0.3 to 0.7 of a core. With the log TensorFlow's steps grow
# to 1,821 MiB on MovieLens 100K and 2,170 MiB on 1.6 million examples (docs/benchmarks.md). So each reserves what it
# takes on a small log, and twice the most that was measured ends it; DuckDB, whose tables grow with the log, has 4 GiB.
# An attempt may take ten times what it takes on MovieLens 100K; training takes at most an hour a model by default.
COPY = Needs("256Mi", "1Gi", cpu=0.25, minutes=30)
TABLES = Needs("512Mi", "4Gi", cpu=0.5, minutes=60)
JUDGE = Needs("2Gi", "4Gi", cpu=0.5, minutes=60)
TRAIN = Needs("2Gi", "4Gi", cpu=1, minutes=180)
NEEDS = {
    "ingest": COPY,
    "build-features": TABLES,
    "make-training-set": TABLES,
    "validate-data": JUDGE,
    "refresh-online": TABLES,
    "train-retrieval": TRAIN,
    "train-sequence": TRAIN,
    "train-ranking": TRAIN,
    "evaluate": JUDGE,
    "learn-layout": TABLES,
    "infra-validate": JUDGE,
    "push": COPY,
    "register": TABLES,
    "detect-drift": JUDGE,
    "monitor": TABLES,
    "plan-trials": TABLES,
    "trial": TRAIN,
    "choose-trial": COPY,
    "report": TABLES,  # it opens MLflow, as `register` does
}


def place_steps() -> None:
    """Place all steps of the pipeline that is being defined; the last line of each pipeline's function."""
    for task in Pipeline.get_default_pipeline().tasks.values():
        place(task)


def place(task: dsl.PipelineTask) -> None:
    """Place a step, and reuse its outputs only if it is pure.

    Kubeflow's API has the user of a container, and no read-only root; the platform drops all capabilities itself.
    """
    needs = NEEDS[task.name]
    task.set_memory_request(needs.memory).set_memory_limit(needs.most_memory)
    task.set_cpu_request(str(needs.cpu)).set_cpu_limit(str(4 * needs.cpu))
    task.set_retry(RETRIES, backoff_duration=BACKOFF, backoff_factor=2)
    task.set_caching_options(task.name in PURE)
    kubernetes.set_timeout(task, needs.minutes * MINUTE)
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    kubernetes.use_config_map_as_env(task, SETTINGS, {name: name for name in SETTING_VARIABLES})
    kubernetes.use_secret_as_env(task, SECRETS, {name: name for name in SECRET_VARIABLES})
    kubernetes.use_field_path_as_env(task, "SEGUE_RUN_ID", RUN_ID)
    kubernetes.empty_dir_mount(task, volume_name="scratch", mount_path=SCRATCH)
