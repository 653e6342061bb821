"""Where state lives. The one place that reads the environment for it."""

import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

MODEL_CARD = "assets.extra/segue.json"  # in a SavedModel's folder; TF Serving ignores `assets.extra`


def image() -> str:
    """The container image of every pipeline step: `SEGUE_IMAGE`, or `segue:` and the installed version."""
    return os.environ.get("SEGUE_IMAGE") or f"segue:{version('segue')}"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one pipeline run, and the names of what a run writes there."""

    path: Path

    @property
    def request(self) -> Path:
        """The pipeline, home and configuration that the run was started with."""
        return self.path / "request.json"

    @property
    def log(self) -> Path:
        """The output of all steps."""
        return self.path / "run.log"

    @property
    def steps(self) -> Path:
        """One record a step."""
        return self.path / "steps"

    @property
    def artifacts(self) -> Path:
        """What steps hand to each other, as KFP lays it out."""
        return self.path / "artifacts"

    @property
    def temporary(self) -> Path:
        """What libraries write on the side; removed when the run ends."""
        return self.path / "tmp"

    @property
    def checkpoints(self) -> Path:
        """Training state by model, from which a step that was killed goes on."""
        return self.path / "checkpoints"

    @property
    def validation(self) -> Path:
        """The verdict on the data."""
        return self.path / "validation.json"

    @property
    def evaluation(self) -> Path:
        """The evaluation with its verdict."""
        return self.path / "evaluation.json"

    @property
    def evaluation_page(self) -> Path:
        """The evaluation as Markdown."""
        return self.path / "evaluation.md"

    @property
    def model_analysis(self) -> Path:
        """TensorFlow Model Analysis' results."""
        return self.path / "tfma"

    @property
    def search(self) -> Path:
        """The trials of a search and the best of them."""
        return self.path / "search.json"

    @property
    def best_configuration(self) -> Path:
        """The configuration of a search's best trial, for `segue run training --config`."""
        return self.path / "best.yaml"

    @property
    def report(self) -> Path:
        """How the run ended."""
        return self.path / "report.json"


@dataclass(frozen=True)
class Home:
    """The folder that holds all of Segue's state (`SEGUE_HOME`, default `.segue/`)."""

    root: Path

    @classmethod
    def from_env(cls) -> "Home":
        """The home that `SEGUE_HOME` names, absolute: components run in other directories."""
        return cls(Path(os.environ.get("SEGUE_HOME", ".segue")).resolve())

    @classmethod
    def at(cls, folder: str | Path) -> "Home":
        """The home in a folder; what a pipeline parameter names."""
        return cls(Path(folder).resolve())

    @property
    def data(self) -> Path:
        """The imported tables: `items.parquet`, `users.parquet`, `events/`, `manifest.json`."""
        return self.root / "data"

    @property
    def features(self) -> Path:
        """Feature tables, the Feast registry and the online store."""
        return self.root / "features"

    @property
    def runs(self) -> Path:
        """One folder a pipeline run: artifacts, `run.log`, `report.json`."""
        return self.root / "runs"

    @property
    def mlflow(self) -> Path:
        """The tracking database and its artifacts."""
        return self.root / "mlflow"

    @property
    def models(self) -> Path:
        """The model store that the model server watches."""
        return self.root / "models"

    @property
    def reports(self) -> Path:
        """Reports for people: validation, evaluation, drift."""
        return self.root / "reports"

    @property
    def reference_window(self) -> Path:
        """Features and predictions that the served model was pushed on."""
        return self.reports / "reference.parquet"

    @property
    def current_window(self) -> Path:
        """Features and predictions of the newest span, as the last monitoring run scored it."""
        return self.reports / "current.parquet"

    @property
    def drift_verdict(self) -> Path:
        """The last drift verdict."""
        return self.reports / "drift.json"

    @property
    def drift_page(self) -> Path:
        """Evidently's report on the last drift comparison."""
        return self.reports / "drift.html"

    @property
    def tracking_artifacts(self) -> Path:
        """Files that MLflow keeps with runs."""
        return self.mlflow / "artifacts"

    @property
    def online_state(self) -> Path:
        """What the online store holds: the data set and its last event."""
        return self.features / "online.json"

    @property
    def tracking_uri(self) -> str:
        """Where MLflow keeps runs: `MLFLOW_TRACKING_URI`, or a database in this home."""
        self.mlflow.mkdir(parents=True, exist_ok=True)
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.mlflow / 'mlflow.db'}"

    def run(self, run_id: str) -> RunFolder:
        """The folder of one pipeline run."""
        return RunFolder(self.runs / run_id)

    def baseline(self, dataset: str) -> Path:
        """What the last pushed model of a data set was validated and scored on."""
        return self.features / "baselines" / dataset
