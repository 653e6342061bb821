"""Check what a run on Kubeflow needs before it is submitted: API, namespace, rights, bucket and data."""

import json
from dataclasses import dataclass

import kfp_server_api

from pipelines.kubeflow.api import Kubeflow
from segue.errors import InputError
from stores.parts import DATA, place
from stores.settings import Settings

EXPERIMENT = "segue"  # the name under which Kubeflow groups the runs
SINGLE_USER = "kubeflow"  # the namespace of all runs of a single-user installation, unless the settings name it


@dataclass(frozen=True)
class Installation:
    """An installation of Kubeflow Pipelines.

    Attributes:
        kubeflow: the connection.
        namespace: of this user's runs, as the API is told; None in single-user mode, where it must not be told.
        pods: the namespace of the steps' pods.
    """

    kubeflow: Kubeflow
    namespace: str | None
    pods: str

    @property
    def where(self) -> dict[str, str]:
        """The namespace as every list of the API takes it: with several users it is needed, with one it is refused."""
        return {"namespace": self.namespace} if self.namespace else {}

    def experiment(self) -> str | None:
        """Return the id of the experiment of the runs; None if there is none yet.

        Raises: as `Kubeflow.call`.
        """
        named = {"predicates": [{"key": "display_name", "operation": "EQUALS", "stringValue": EXPERIMENT}]}
        api = self.kubeflow.experiments
        found = self.kubeflow.call(api.experiment_service_list_experiments, filter=json.dumps(named), **self.where)
        return found.experiments[0].experiment_id if found.experiments else None

    def own_experiment(self) -> str:
        """Return the id of the experiment of the runs; it is made if there is none.

        Raises: as `Kubeflow.call`.
        """
        experiment = self.experiment()
        if experiment:
            return experiment
        wanted = kfp_server_api.V2beta1Experiment(display_name=EXPERIMENT, namespace=self.namespace)
        api = self.kubeflow.experiments
        made = self.kubeflow.call(api.experiment_service_create_experiment, wanted)
        return str(made.experiment_id)


def installation(settings: Settings) -> Installation:
    """Connect to the installation that the settings name.

    Raises:
        InputError: no address or no namespace is set, or the API refuses.
        UnavailableError: the API does not answer.
    """
    kubeflow = Kubeflow.of(settings)
    health = kubeflow.call(kubeflow.health.healthz_service_get_healthz)
    namespace = settings.kubeflow_namespace
    if health.multi_user and not namespace:
        raise InputError(
            f"Kubeflow Pipelines at {kubeflow.address} has several users, whose runs are in their own namespaces.",
            "Set kubeflow_namespace in segue.yaml, or SEGUE_KUBEFLOW_NAMESPACE.",
        )
    return Installation(kubeflow, namespace if health.multi_user else None, namespace or SINGLE_USER)


def require_cluster(settings: Settings) -> None:
    """Check that steps, whose homes are empty, share their state with this machine.

    Raises:
        InputError: the profile is not `cluster`.
    """
    if not settings.clustered:
        raise InputError(
            "Steps on a cluster have empty homes and share the stores of the profile cluster. The profile is embedded.",
            "Write `profile: cluster` with its stores in segue.yaml; docs/operating.md lists them.",
        )


def require_data(settings: Settings) -> None:
    """Check that steps find the data in the bucket.

    Raises:
        InputError: the bucket refuses, or nothing has been imported into it.
        UnavailableError: the object store does not answer.
    """
    from stores.trees import current

    bucket, part = place(settings, DATA)
    if current(bucket, part).number == 0:
        raise InputError(f"{settings.objects} has no data yet.", "Import it with these settings: `segue data import`.")
