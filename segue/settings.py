"""Where state lives. The one place that reads the environment for it."""

import os
from dataclasses import dataclass
from pathlib import Path


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
    def tracking_uri(self) -> str:
        """Where MLflow keeps runs: `MLFLOW_TRACKING_URI`, or a database in this home."""
        self.mlflow.mkdir(parents=True, exist_ok=True)
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.mlflow / 'mlflow.db'}"

    def run(self, run_id: str) -> Path:
        """The folder of one pipeline run."""
        return self.runs / run_id

    def baseline(self, dataset: str) -> Path:
        """What the last pushed model of a data set was validated and scored on."""
        return self.features / "baselines" / dataset
