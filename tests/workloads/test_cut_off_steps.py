"""Every step that loses the object store in its midst: an error that names it, soon; exit code 75; a clean rerun.

The store is lost at the read of the run's records, at the read of data, models or baselines, at the publication, and at
the write of the records. What a step does between takes no store, and is short here where it is long in a run.

A proxy before the store refuses, as a killed server does, because a restart takes 5 to 18 s. With `--sigkill` the
server itself is killed by SIGKILL at each of these moments, and starts again:

    pytest tests/workloads/test_cut_off_steps.py --sigkill
"""

import importlib
import inspect
import pkgutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

import workloads
from models.saved.card import CARD
from models.training_config import TrainingConfig
from monitoring.report import Report
from monitoring.retraining import Decision
from segue.errors import EXIT_RETRY, UnavailableError
from segue.files import read_json, write_json, write_text
from segue.settings import Home
from segue.verdict import Verdict
from serving.protocol import prediction_log
from serving.store import model_store
from stores import parts, records, servers, trees
from stores.s3 import Bucket
from surfaces.home.layout import LayoutPolicy
from tests.support.proxy import Proxy
from tests.support.soon import SECONDS
from workloads import (
    build_features,
    detect_drift,
    evaluate,
    infra_validate,
    ingest,
    make_training_set,
    push,
    refresh_online,
    register,
    report,
    validate_data,
)
from workloads.monitoring import monitor
from workloads.run import Run
from workloads.search import choose_trial, plan_trials, trial
from workloads.training import learn_layout, train_ranking, train_retrieval, train_sequence
from workloads.training_set import MODELS

pytestmark = pytest.mark.slow

PUBLISHED = (parts.DATA, parts.MODELS, parts.BASELINES, parts.REPORTS, parts.SURFACES)
CONFIG = TrainingConfig.from_dict({"search": {"trials": 2, "space": {"dim": [8, 16]}}}).to_dict()
PASSED = Verdict(True, "It is well.")
AT = datetime(2026, 3, 2, tzinfo=UTC)
WAIT = Decision(AT, "wait", "Nothing asks for a training.")
JUDGED = {"metric": "recall_at_100", "objective": 0.5}
CARD_OF_RUN = {"dataset": "plays", "log": "tiny", "sha256": "abc", "split": {}, "run_id": "r1"}
RECORDS, PARTS, UPLOAD = (records, "bring"), (trees, "download"), (Bucket, "upload_tree")
PUBLISH, KEEP = (trees, "publish"), (records, "keep")
UNSENT, SENT = (records, "bring_unsent"), (records, "drop_sent")  # before and after MLflow takes the record


def trained(*arguments, **options) -> dict:
    """A training in no time: the model is a file."""
    out = next(path for path in arguments[::-1] if isinstance(path, Path) and path.name == "out")
    write_text(out / "saved_model.pb", "model")
    return {}


def compared(reference: Path, current: Path, verdict: Path, page: Path, snapshots: Path) -> Verdict:
    """A comparison in no time."""
    write_json(verdict, PASSED.to_dict())
    write_text(page, "page")
    return PASSED


@dataclass(frozen=True)
class Step:
    """How to call a step with the files of `Given`, when it uses the object store, and what it does in no time here."""

    call: Callable[[Run, SimpleNamespace], object]
    uses: tuple = ()
    short: dict = field(default_factory=dict)


STEPS = {
    "ingest": Step(lambda run, at: ingest.step(run, at.out), (PARTS,)),
    "build-features": Step(lambda run, at: build_features.step(run, at.ingested, at.out)),
    "make-training-set": Step(
        lambda run, at: make_training_set.step(run, at.ingested, at.tables, at.out),
        short={"workloads.make_training_set.make": lambda *_: {}},
    ),
    "validate-data": Step(
        lambda run, at: validate_data.step(run, at.ingested, at.tables, at.training_set, at.out / "page", at.out / "r"),
        (PARTS,),
        {"feature_repo.leaks.check": lambda *_: [], "monitoring.validation.validate": lambda *_: PASSED},
    ),
    "refresh-online": Step(
        lambda run, at: refresh_online.step(run, at.ingested, at.tables),
        (UPLOAD,),
        {"feature_repo.online.refresh": lambda *_: {}},
    ),
    "train-retrieval": Step(
        lambda run, at: train_retrieval.step(run, at.training_set, at.out),
        (PARTS,),
        {"workloads.training.train_retrieval.train_retrieval": trained},
    ),
    "train-sequence": Step(
        lambda run, at: train_sequence.step(run, at.training_set, at.out),
        (PARTS,),
        {"workloads.training.train_sequence.train_sequence": trained},
    ),
    "train-ranking": Step(
        lambda run, at: train_ranking.step(run, at.training_set, at.none, at.none, at.out),
        (PARTS,),
        {"workloads.training.train_ranking.train_ranking": trained},
    ),
    "learn-layout": Step(
        lambda run, at: learn_layout.step(run, at.ingested),
        (PARTS, PUBLISH),
        {
            "workloads.training.learn_layout.too_few": lambda _: "",
            "workloads.training.learn_layout.learned": lambda *_: (LayoutPolicy(), PASSED),
        },
    ),
    "evaluate": Step(
        lambda run, at: evaluate.step(run, at.training_set, at.models, at.out / "report", at.out / "window"),
        (PARTS,),
        {
            "workloads.evaluate.evaluate": lambda *_: {"verdict": PASSED.to_dict()},
            "workloads.evaluate.markdown": lambda _: "report",
            "workloads.evaluate.flat_metrics": lambda _: {},
        },
    ),
    "infra-validate": Step(
        lambda run, at: infra_validate.step(run, at.training_set, at.models, at.out),
        short={
            "workloads.infra_validate.sample_requests": lambda *_: {model: [{"user": ["u1"]}] for model in MODELS},
            "workloads.infra_validate.validate": lambda *_: PASSED,
        },
    ),
    "push": Step(lambda run, at: push.step(run, at.models, at.requests, at.reference, at.window), (PARTS, PUBLISH)),
    "register": Step(
        lambda run, at: register.step(run, 1),
        (PARTS, UNSENT, SENT),
        {"workloads.operating.agree.flat_metrics": lambda _: {}},
    ),
    "report": Step(lambda run, at: report.step(run), (UNSENT, SENT)),
    "detect-drift": Step(
        lambda run, at: detect_drift.step(run, at.training_set, at.out),
        (PARTS, PUBLISH),
        {
            "models.evaluation.held_out.predict_ranking": lambda *_: {},
            "models.evaluation.frames.prediction_frame": lambda *_: pd.DataFrame({"age": [1.0]}),
            "monitoring.drift.compare_files": compared,
        },
    ),
    "monitor": Step(
        lambda run, at: monitor.step(run),
        (PARTS,),
        {"workloads.monitoring.monitor.monitor": lambda *_: (Report((AT, AT), (AT, AT), (), None, "Quiet."), WAIT, {})},
    ),
    "plan-trials": Step(lambda run, at: plan_trials.step(run, at.ingested, at.tables, at.out / "catalogue")),
    "trial-0": Step(
        lambda run, at: trial.step(run, at.training_set, at.catalogue, {"trial": 0, "values": {"dim": 8}}),
        short={"workloads.search.trial.run_trial": lambda *_: JUDGED},
    ),
    "choose-trial": Step(
        lambda run, at: choose_trial.step(run, [{"trial": 0, "values": {"dim": 8}, **JUDGED}]),
    ),
}


@pytest.fixture(scope="module")
def given(log, objects, service_password, tmp_path_factory) -> SimpleNamespace:
    """The artifacts of a run's earlier steps, and `bucket`, a place in the object store with all parts of a home."""
    folder, seed = tmp_path_factory.mktemp("given"), Home(tmp_path_factory.mktemp("seed"))
    models = {model: folder / "models" / model for model in MODELS}
    for model, path in models.items():
        write_json(path / CARD, CARD_OF_RUN)
        write_text(path / "saved_model.pb", model)
        prediction_log.write(folder / "requests" / model, [prediction_log.predict_log(model, {"user": ["u1"]})])
    write_text(folder / "reference" / "schema.pbtxt", "schema")
    pd.DataFrame({"age": [1.0]}).to_parquet(folder / "window")
    model_store.push(seed.models, models)
    write_json(seed.baselines / "another" / "a.json", {})
    write_json(seed.layout_policy, LayoutPolicy().to_dict())
    push.replace(seed.reference(CARD_OF_RUN["run_id"]), folder / "window")
    bucket = Bucket(servers.BUCKET, uuid.uuid4().hex, f"http://{servers.HOST}:{objects.port}")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", servers.USER)
        environment.setenv("AWS_SECRET_ACCESS_KEY", service_password)
        for part in PUBLISHED:
            trees.publish(bucket, part, parts.folder(log if part == parts.DATA else seed, part), 0)
    return SimpleNamespace(
        bucket=bucket,
        ingested=log.root / "ingested",
        tables=log.root / "tables",
        models=models,
        requests=folder / "requests",
        reference=folder / "reference",
        window=folder / "window",
        none=folder / "none",
    )


@pytest.fixture
def store(given, cluster, objects, training_set, monkeypatch, request) -> Iterator[Proxy | servers.Server]:
    """The object store, as the steps reach it: by a proxy that can be cut off, or with --sigkill the server itself."""
    given.training_set, given.catalogue = training_set, training_set / "items_now.parquet"
    killed = request.config.getoption("--sigkill", False)
    store = objects if killed else Proxy(objects.port)
    monkeypatch.setenv("SEGUE_OBJECTS", given.bucket.url)
    for name in ("SEGUE_OBJECTS_ENDPOINT", "MLFLOW_S3_ENDPOINT_URL"):  # `tracking.client` sets the second for good
        monkeypatch.setenv(name, f"http://{servers.HOST}:{store.port}")
    yield store
    if not killed:
        store.kill()


@pytest.fixture
def lost_at(store, monkeypatch) -> Callable:
    """`lost_at(owner, name)`: the store is lost when this function is called; returns a list with the moment."""

    def cut_at(owner, name: str) -> list[float]:
        function, moment = getattr(owner, name), []

        def cutting(*arguments, **options):
            if not moment:
                store.kill()
                moment.append(time.monotonic())
            return function(*arguments, **options)

        monkeypatch.setattr(owner, name, cutting)
        return moment

    return cut_at


@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_loses_the_object_store(name, given, store, lost_at, monkeypatch, tmp_path):
    step = STEPS[name]
    for path, function in step.short.items():
        monkeypatch.setattr(path, function)
    write_json(Home(tmp_path / "earlier").run(name).evaluation, {})
    records.keep(Home(tmp_path / "earlier").run(name), {})

    def published() -> list[int]:
        return [trees.current(given.bucket, part).number for part in PUBLISHED]

    before = published()
    for number, place in enumerate((RECORDS, *step.uses, KEEP)):
        moment = lost_at(*place)
        run = Run(Home(tmp_path / f"step-{number}"), name, CONFIG, ends_process=True)
        given.out = tmp_path / f"artifact-{number}" / "out"
        given.out.parent.mkdir()
        with pytest.raises(SystemExit) as ended:
            step.call(run, given)
        assert time.monotonic() - moment[0] < SECONDS, place
        assert ended.value.code == EXIT_RETRY
        error = ended.value.__cause__
        assert isinstance(error, UnavailableError), place
        assert ("object store" in error.headline, bool(error.fix)) == (True, True), error
        record = read_json(run.folder.steps / f"{name}.json")
        assert (record["status"], record["exit_code"]) == ("failed", EXIT_RETRY)
        store.start()
        if place != KEEP:
            assert published() == before, place  # nothing half
        assert not list(given.bucket.list(f"runs/{name}/steps/"))

    given.out = tmp_path / "out"
    step.call(Run(Home(tmp_path / "again"), name, CONFIG, ends_process=True), given)
    seen = Home(tmp_path / "seen").run(name)
    records.bring(seen)
    assert read_json(seen.steps / f"{name}.json")["status"] == "done"


def test_every_step_is_here():
    """If this fails, a step was added, and nobody knows what it leaves when it loses the object store."""
    found = {
        module.name.rpartition(".")[2].replace("_", "-")
        for module in pkgutil.walk_packages(workloads.__path__, "workloads.")
        if "run" in inspect.signature(getattr(importlib.import_module(module.name), "step", abs)).parameters
    }
    assert {name.removesuffix("-0") for name in STEPS} == found
