"""Register: record the run, its lineage and its pushed models in MLflow; the aliases follow the labels."""

from stores import parts, records
from tracking.outbox import track
from workloads.operating.agree import agree, record_of
from workloads.run import Run


def step(run: Run, version: int) -> None:
    """Keep the run's models as new versions of the registered models.

    The models are in the store already, so a fault of MLflow does not fail the step: the next run sends the record.

    Args:
        run: the pipeline run.
        version: the version of the run's models in the model store.
    """
    with run.step(__name__, reads=(parts.MODELS,)) as result:
        record = record_of(run.home, run.id, version) | {"params": run.parameters}
        records.bring_unsent(run.home)
        result.update(track(run.home, run.folder, record))
        if "not_tracked" not in result and (problem := agree(run.home)):
            print(problem, flush=True)
        records.drop_sent(run.home)
