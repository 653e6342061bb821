"""Register: record the run, its lineage and its pushed models in MLflow; the models become champions."""

from models.evaluation.report import flat_metrics
from models.saved.card import read_card
from segue.files import read_json
from tracking.outbox import track
from tracking.runs import EXPERIMENT, text_tags
from workloads.run import Run


def step(run: Run, version: int) -> None:
    """Keep the run's models as new versions of the registered models.

    The models are served already, so a fault of MLflow does not fail the step: the next run sends the record.

    Args:
        run: the pipeline run.
        version: the version of the run's models in the model store.
    """
    with run.step(__name__) as result:
        folder = run.folder
        card = read_card(run.home.models / "ranking" / str(version))
        record = {
            "experiment": EXPERIMENT,
            "params": run.parameters,
            "metrics": flat_metrics(read_json(folder.evaluation)),
            "tags": text_tags({name: card[name] for name in ("dataset", "sha256", "split", "run_id")}),
            "files": [file.name for file in (folder.evaluation, folder.evaluation_page, folder.validation)],
            "failed": False,
            "trials": [],
            "version": version,
        }
        result.update(track(run.home, folder, record))
