"""The folders and files that hold state; only this module reads the environment for them."""

import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

MODEL_CARD = "assets.extra/segue.json"  # in a SavedModel's folder; TF Serving ignores `assets.extra`
DECISIONS = "decisions"  # in the model store: who moved a label when and why


def image() -> str:
    """The container image of every pipeline step: `SEGUE_IMAGE`, or `segue:` and the installed version."""
    return os.environ.get("SEGUE_IMAGE") or f"segue:{version('segue')}"


def sqlite_uri(database: Path) -> str:
    """Return the address of a database in a file, as SQLAlchemy and MLflow read it."""
    path = str(database)
    if "%" in path or "?" in path:
        # SQLAlchemy decodes the path. MLflow first makes the parent folder of the undecoded path, which would lie
        # beside the home; a path without `/` has no such folder.
        path = quote(path, safe="")
    return f"sqlite:///{path}"


@dataclass(frozen=True)
class RunFolder:
    """The folder of a pipeline run, and the names of its files."""

    path: Path

    @property
    def request(self) -> Path:
        """The pipeline, the home and the configuration of the run."""
        return self.path / "request.json"

    @property
    def log(self) -> Path:
        """The output of all steps."""
        return self.path / "run.log"

    @property
    def lock(self) -> Path:
        """The lock that the process of a local run holds, with its pid and host."""
        return self.path / "lock"

    @property
    def unsent(self) -> Path:
        """What MLflow has not received of the run, and why; absent once all is there."""
        return self.path / "unsent.json"

    @property
    def steps(self) -> Path:
        """A JSON record of each step."""
        return self.path / "steps"

    @property
    def artifacts(self) -> Path:
        """The artifacts that steps pass to each other, in the layout of KFP."""
        return self.path / "artifacts"

    @property
    def temporary(self) -> Path:
        """Temporary files of libraries; removed when the run ends."""
        return self.path / "tmp"

    @property
    def reserve(self) -> Path:
        """Room on the disk that a failed step frees, so that its failure can be recorded on a full disk."""
        return self.temporary / "reserve"

    @property
    def checkpoints(self) -> Path:
        """Training state by model; a step that was killed continues from it."""
        return self.path / "checkpoints"

    @property
    def validation(self) -> Path:
        """The verdict of data validation."""
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
        """The results of TensorFlow Model Analysis."""
        return self.path / "tfma"

    @property
    def search(self) -> Path:
        """The trials of a search and the best trial."""
        return self.path / "search.json"

    @property
    def best_configuration(self) -> Path:
        """The configuration of the best trial of a search, for `segue run training --config`."""
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
        """The home that `SEGUE_HOME` names, as an absolute path, because components run in other directories.

        An empty `SEGUE_HOME` counts as unset, so that a failed substitution in a script does not name the working
        directory.
        """
        return cls(Path(os.environ.get("SEGUE_HOME") or ".segue").resolve())

    @classmethod
    def at(cls, folder: str | Path) -> "Home":
        """The home in a folder, for example the folder that a pipeline parameter names."""
        return cls(Path(folder).resolve())

    @property
    def data(self) -> Path:
        """The imported tables: `items.parquet`, `users.parquet`, `events/`, `manifest.json`."""
        return self.root / "data"

    @property
    def journal(self) -> Path:
        """The database of what was shown and of what listeners did with it, until it is collected into `data`."""
        return self.root / "journal" / "journal.db"

    @property
    def features(self) -> Path:
        """Feature tables, the Feast registry and the online store."""
        return self.root / "features"

    @property
    def runs(self) -> Path:
        """A folder for each pipeline run, with its artifacts, `run.log` and `report.json`."""
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
    def decisions(self) -> Path:
        """Who moved a label of the models when and why, a file for each; beside the models, so they travel together."""
        return self.models / DECISIONS

    @property
    def surfaces(self) -> Path:
        """What the training pipeline makes for the gateway."""
        return self.root / "surfaces"

    @property
    def layout_policy(self) -> Path:
        """The layout policy of Home that serves."""
        return self.surfaces / "layout.json"

    @property
    def experiments(self) -> Path:
        """The records of experiments, in a folder for each."""
        return self.root / "experiments"

    @property
    def rollout_counts(self) -> Path:
        """What gateways count of each roll-out: a folder for its number, with a file of each gateway."""
        return self.root / "cohorts"

    @property
    def services(self) -> Path:
        """Data, passwords and process ids of the local servers that `make services` starts."""
        return self.root / "services"

    @property
    def reports(self) -> Path:
        """Reports for people: validation, evaluation, drift."""
        return self.root / "reports"

    @property
    def simulation(self) -> Path:
        """What `segue simulate` showed and found, day by day, its chart, and the logs of its servers."""
        return self.root / "simulation"

    @property
    def references(self) -> Path:
        """Features and predictions of the test span of each run whose models are in the store, a file for each."""
        return self.reports / "references"

    def reference(self, run_id: str) -> Path:
        """Features and predictions of the test span of a run."""
        return self.references / f"{run_id}.parquet"

    @property
    def current_window(self) -> Path:
        """Features and predictions of the newest span, from the last monitoring run."""
        return self.reports / "current.parquet"

    @property
    def drift_verdict(self) -> Path:
        """The last drift verdict."""
        return self.reports / "drift.json"

    @property
    def drift_page(self) -> Path:
        """Evidently's report of the last drift comparison."""
        return self.reports / "drift.html"

    @property
    def drift_snapshots(self) -> Path:
        """The results of the last drift comparisons, as Evidently's own pages read them."""
        return self.reports / "snapshots"

    @property
    def window_page(self) -> Path:
        """Evidently's report of the newest monitoring window beside its base."""
        return self.reports / "window.html"

    @property
    def check_reports(self) -> Path:
        """The reports of monitoring windows, a file for each; the end of its window is its name."""
        return self.reports / "checks"

    @property
    def retraining(self) -> Path:
        """The decisions about retraining, and who has been told of them."""
        return self.reports / "retraining.json"

    @property
    def tracking_artifacts(self) -> Path:
        """Files that MLflow stores with its runs."""
        return self.mlflow / "artifacts"

    @property
    def online_state(self) -> Path:
        """A record of the online store's content: the data set and its last event."""
        return self.features / "online.json"

    @property
    def lock(self) -> Path:
        """The file that a run locks, because runs share the online store, the registry, the models and MLflow."""
        return self.root / ".lock"

    @property
    def monitor_lock(self) -> Path:
        """The file that `segue monitor` locks while it decides."""
        return self.root / ".monitor.lock"

    @property
    def tracking_database(self) -> Path:
        """MLflow's database in this home."""
        return self.mlflow / "mlflow.db"

    @property
    def aliases(self) -> Path:
        """The runs that MLflow's aliases name, as they were set last."""
        return self.mlflow / "aliases.json"

    @property
    def own_tracking_uri(self) -> str:
        """The address of MLflow's database in this home."""
        return sqlite_uri(self.tracking_database)

    def run(self, run_id: str) -> RunFolder:
        """The folder of a pipeline run."""
        return RunFolder(self.runs / run_id)

    def run_folders(self) -> list[RunFolder]:
        """The folders of all runs, oldest first; a run's name is its pipeline and the time of its start."""

        def started(run: RunFolder) -> tuple[str, int]:
            start, _, number = run.path.name.partition("-")[2].partition("-")
            return start, int(number) if number.isdigit() else 1

        return sorted((self.run(folder.name) for folder in self.runs.glob("[!.]*") if folder.is_dir()), key=started)

    @property
    def baselines(self) -> Path:
        """The references for data validation, by log."""
        return self.features / "baselines"

    def baseline(self, log: str) -> Path:
        """The reference for data validation of a log (`events.dataset.identity`): statistics from its last push."""
        return self.baselines / log
