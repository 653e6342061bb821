"""Rounds of killing a run's end and decisions on labels at named points: one invocation later all states agree.

Each round forks twice from a process that has imported everything: the first child is killed by SIGKILL before or after
the call of a named function, the second runs `segue rollout look`.
"""

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from importlib import import_module
from pathlib import Path

from click.testing import CliRunner

from cli import cli
from cli.pipelines.run import roll_out
from models.saved.card import CARD
from rollout import moves
from rollout import rollout as rollouts
from rollout.moves import newest, wanted
from rollout.reconcile import reconcile
from rollout.state_file import read
from segue.clock import utc_now
from segue.files import read_json, write_json
from segue.settings import Home
from serving.protocol import prediction_log
from serving.store import model_store
from serving.store.versions import CANARY, STABLE
from tests.faults.checks import store_faults
from workloads import push, register
from workloads.operating import agree
from workloads.run import Run

MODELS = ("ranking", "retrieval", "sequence")
RUNS = ("training-20260301T120000", "training-20260302T120000")
BEFORE, AFTER = "before", "after"
MOVING = ("starting", "promoting", "taking back", "draining")
# What the children would import, each anew.
IMPORTED = (
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "rollout.controller",
    "rollout.label_decisions",
    "rollout.reconcile",
)
# The moments of a label move, of its record and of what follows it.
LABELS = [
    (BEFORE, "serving.store.moving.rendered"),
    (AFTER, "serving.store.moving.rendered"),
    (BEFORE, "workloads.operating.decisions.write_json"),
    (BEFORE, "workloads.operating.agree.set_aliases"),
    (AFTER, "workloads.operating.agree.set_aliases"),
]
STATE = [(BEFORE, "rollout.moves.change"), (AFTER, "rollout.moves.change"), (AFTER, "rollout.moves.followed")]
# What is killed -> the moments, each before or after the call of a function.
POINTS: dict[str, list[tuple[str, str]]] = {
    "run": [
        (AFTER, "workloads.push.replace"),
        (AFTER, "workloads.push.keep_window"),
        (BEFORE, "serving.store.model_store.rendered"),
        (AFTER, "serving.store.model_store.push"),
        (BEFORE, "workloads.register.record_of"),
        (AFTER, "tracking.outbox.log_run"),
        (AFTER, "tracking.outbox.register"),
        (BEFORE, "workloads.operating.agree.set_aliases"),
        (AFTER, "workloads.operating.agree.set_aliases"),
        (BEFORE, "rollout.moves.change"),
        (AFTER, "rollout.moves.change"),
    ],
    "start": STATE,
    "promote": [*STATE, LABELS[0], LABELS[1], LABELS[3], LABELS[4]],
    "take back": [*STATE, LABELS[0], LABELS[1], LABELS[3], LABELS[4]],
    "add items": [(AFTER, "serving.store.model_store.push"), *STATE, LABELS[0], LABELS[1]],
    "models promote": LABELS,
    "models rollback": LABELS,
}


@dataclass(frozen=True)
class Round:
    """A round.

    Attributes:
        action: a key of `POINTS`.
        point: the moment.
        hit: whether it came; a command may end without the call.
        wrong: what is wrong after one invocation, a sentence each.
    """

    action: str
    point: tuple[str, str]
    hit: bool
    wrong: list[str] = field(default_factory=list)


def run_rounds(points: list[tuple[str, tuple[str, str]]], folder: Path) -> Iterator[Round]:
    """Run a round for each action and moment, in this order.

    Args:
        points: the actions with their moments.
        folder: an empty folder.
    """
    for module in IMPORTED:
        import_module(module)
    homes = make_homes(folder / "homes")
    for number, (action, point) in enumerate(points):
        home = Home(folder / str(number))
        begins, act = actions()[action]
        shutil.copytree(homes[begins].root, home.root)
        hit = ended(partial(killed, home, act, point)) == -signal.SIGKILL
        looked = ended(partial(segue, home, "rollout", "look"))
        wrong = [f"`segue rollout look` ended with {looked}"] if looked else []
        yield Round(action, point, hit, [*wrong, *disagreements(home)])
        shutil.rmtree(home.root)


def actions() -> dict[str, tuple[str, Callable[[Home], object]]]:
    """What is killed: the home that it begins in, and the call."""

    def command(*arguments: str) -> Callable[[Home], object]:
        return lambda home: segue(home, *arguments)

    return {
        "run": ("served", lambda home: end_of_run(home, RUNS[1])),
        "start": ("pushed", command("rollout", "start")),
        "promote": ("tried", command("rollout", "promote", "--reason", "x")),
        "take back": ("tried", command("rollout", "abort", "--reason", "x")),
        "add items": ("tried", add_items),
        "models promote": ("pushed", command("models", "promote")),
        "models rollback": ("promoted", command("models", "rollback")),
    }


def make_homes(folder: Path) -> dict[str, Home]:
    """Make the homes that rounds begin in: a version that is served, a candidate, its roll-out, and its promotion."""
    homes = {name: Home(folder / name) for name in ("served", "pushed", "tried", "promoted")}
    steps = {
        "served": lambda home: end_of_run(home, RUNS[0]),
        "pushed": lambda home: end_of_run(home, RUNS[1], rolled_out=False),
        "tried": lambda home: segue(home, "rollout", "start"),
        "promoted": lambda home: segue(home, "rollout", "promote", "--reason", "x"),
    }
    before = None
    for name, home in homes.items():
        if before is not None:
            shutil.copytree(before.root, home.root)
        assert ended(partial(steps[name], home)) == 0, name
        before = home
    return homes


def end_of_run(home: Home, run_id: str, rolled_out: bool = True) -> None:
    """The end of a training run whose models passed every gate: push, register, and the start of a roll-out."""
    os.environ["SEGUE_HOME"] = str(home.root)
    inputs = home.run(run_id).artifacts
    models = {model: inputs / model for model in MODELS}
    for model, path in models.items():
        write_json(path / CARD, {"dataset": "plays", "log": "tiny", "sha256": "0", "split": {}, "run_id": run_id})
        (path / "saved_model.pb").write_text(f"{model} of {run_id}")
        prediction_log.write(inputs / "requests" / model, [prediction_log.predict_log(model, {"user": ["u1"]})])
    (inputs / "reference").mkdir()
    (inputs / "reference" / "schema.pbtxt").write_text("schema")
    (inputs / "window").write_bytes(run_id.encode())
    run = Run(home, run_id, {"push": "canary"})
    write_json(run.folder.evaluation, {})
    version = push.step(run, models, inputs / "requests", inputs / "reference", inputs / "window")
    register.step(run, version)
    if rolled_out:
        roll_out(read_json(run.folder.steps / "push.json")["result"])


def add_items(home: Home) -> None:
    """What `segue models add-items` does once it has copied the models; the copies are what was pushed before."""
    os.environ["SEGUE_HOME"] = str(home.root)
    root, rollout = home.models, newest(home.models)
    before = {STABLE: rollout.control, CANARY: rollout.candidate}
    after = {}
    for label, versions in before.items():
        models = {model: root / model / str(version) for model, version in versions.items()}
        after[label] = dict.fromkeys(models, model_store.push(root, models, label=None))
    moves.add_items(root, before, after, "1 item", "test", utc_now())
    reconcile(home, utc_now())


def segue(home: Home, *arguments: str) -> None:
    """Run a command in this process."""
    os.environ["SEGUE_HOME"] = str(home.root)
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output


def killed(home: Home, act: Callable[[Home], object], point: tuple[str, str]) -> None:
    """Act, and die by SIGKILL before or after the first call of a function."""
    when, name = point
    module, _, attribute = name.rpartition(".")
    function = getattr(import_module(module), attribute)

    def deadly(*arguments, **options):
        if when == AFTER:
            function(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(import_module(module), attribute, deadly)
    act(home)


def ended(function: Callable[[], object]) -> int:
    """Run a function in a forked process; return its exit code, or minus the signal that ended it.

    A drain takes no time there, and an evaluation has one figure.
    """
    process = os.fork()
    if process == 0:
        status = 1
        try:
            rollouts.DRAIN = rollouts.KEPT = timedelta(0)
            agree.flat_metrics = lambda _: {"auc": 0.5}
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            function()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def disagreements(home: Home) -> Iterator[str]:
    """Yield what disagrees among the store, the roll-out, the references and MLflow."""
    yield from store_faults(home)
    labels, rollout = model_store.labels(home.models), read(home.models).rollout
    if rollout is not None and (rollout.phase in MOVING or rollout.replaced is not None):
        yield f"the roll-out is {rollout.phase}, and has replaced {rollout.replaced}"
    if rollout is not None and wanted(rollout, labels) != labels:
        yield f"the labels are {labels}, and the roll-out is {rollout.phase}"
    runs = agree.labelled_runs(home.models)
    for run in {run for of in runs.values() for run in of.values()}:
        if not home.reference(run).is_file():
            yield f"the drift reference of {run} is missing"
        if home.run(run).unsent.exists():
            yield f"{run} is not sent to MLflow"
    for model, of in runs.items():
        wanted_aliases = {alias: of[label] for alias, label in agree.ALIASES.items() if label in of}
        aliases, registered = registry(home, f"segue-{model}")
        if aliases != wanted_aliases:
            yield f"MLflow's aliases of {model} are {aliases}, the labels say {wanted_aliases}"
        if len(registered) != len(set(registered)):
            yield f"MLflow has two versions of one run of {model}: {registered}"


def registry(home: Home, name: str) -> tuple[dict[str, str], list[str]]:
    """Return the run that each alias of a registered model names, and the runs of its versions, from the database."""
    with closing(sqlite3.connect(home.tracking_database)) as database:
        of_version = dict(
            database.execute("select version, value from model_version_tags where key = 'run_id' and name = ?", [name])
        )
        named = database.execute("select alias, version from registered_model_aliases where name = ?", [name])
        return {alias: of_version[version] for alias, version in named}, sorted(of_version.values())


def every_point(times: int) -> list[tuple[str, tuple[str, str]]]:
    """Each action with each of its moments, so many times."""
    return [(action, point) for _ in range(times) for action, points in POINTS.items() for point in points]
