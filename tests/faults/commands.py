"""The commands that are killed, in a home with an imported log and three tiny models of two versions."""

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

from segue.settings import Home
from tests.support.nano_loop import copied_models

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("retrieval", "ranking", "sequence")
CONFIG = """
retrieval: {epochs: 1, batch_size: 256, dim: 16}
ranking: {epochs: 1, batch_size: 256, dim: 8}
sequence: {dim: 16, blocks: 1, length: 20, epochs: 1}
"""
PUSH = """
import sys
from pathlib import Path
from segue.entry import enter
from segue.settings import Home
def push():
    from workloads import push
    from workloads.run import Run
    inputs = Path(sys.argv[1])
    models = {path.name: path for path in (inputs / "models").iterdir()}
    artifacts = (inputs / name for name in ("requests", "baseline", "window"))
    push.step(Run(Home.from_env(), "push-1", {}), models, *artifacts)
enter(push)
"""
# A run whose steps share a process. Those that train, and those that need what was trained, copy tiny models instead.
STUBS = """
import tests.support.one_process
import shutil
from workloads import evaluate, infra_validate, validate_data
from workloads.operating import agree
def passes(run, name, made):
    with run.step(name) as result:
        result["passed"] = True
        for source, target in made:
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
        return True
def validates(run, ingested, features, training_set, page, reference):
    return passes(run, validate_data.__name__, [(inputs / "window", page), (inputs / "baseline", reference)])
def evaluates(run, training_set, models, report, window):
    made = [(inputs / "window", report), (inputs / "window", window), (inputs / "empty.json", run.folder.evaluation)]
    return passes(run, evaluate.__name__, made), {}
def infra_validates(run, training_set, models, requests):
    return passes(run, infra_validate.__name__, [(inputs / "requests", requests)])
validate_data.step, evaluate.step, infra_validate.step = validates, evaluates, infra_validates
agree.flat_metrics = lambda evaluation: {}
"""


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        name: its name in the table.
        arguments: of the Python that runs it.
        ready: the text that it prints when it has begun to serve; empty for a command that ends by itself.
        changes: Python code that each process runs first.
    """

    name: str
    arguments: list[str]
    ready: str = ""
    changes: str = ""

    def start(self, home: Path, folder: Path, changes: str = "", **options) -> subprocess.Popen:
        """Start the command in a process group of its own; `folder` gets its `sitecustomize.py`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sitecustomize.py").write_text(f"{self.changes}\n{changes}")
        environment = os.environ | {"SEGUE_HOME": str(home), "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
        environment |= {"TF_CPP_MIN_LOG_LEVEL": "2"}
        environment.pop("MLFLOW_TRACKING_URI", None)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "text": True}
        return subprocess.Popen(
            [sys.executable, *self.arguments], env=environment, start_new_session=True, cwd=folder, **pipes, **options
        )


def commands(inputs: Path) -> dict[str, Command]:
    """Return the commands by name; `make_inputs` has filled the folder `inputs`."""

    def segue(arguments: str) -> list[str]:
        return ["-m", "segue", *arguments.split()]

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stubs = f"from pathlib import Path\ninputs = Path({str(inputs)!r})\n{STUBS}\n"
    stubs += copied_models(Home(inputs / "home"), *MODELS)
    stubs = f"import sys\nif 'pipelines.local' in sys.orig_argv:\n{indent(stubs, '    ')}"
    every = [
        Command("import", segue("data import synthetic --size nano --seed 1")),
        Command("push", ["-c", PUSH, str(inputs)]),
        Command("promote", segue("models promote 1")),
        Command("run", [*segue("run training --json --config"), str(inputs / "fast.yaml")], changes=stubs),
        Command("serve", segue(f"serve --port={port}"), ready="serving at"),
    ]
    return {command.name: command for command in every}


def make_inputs(inputs: Path, saved_model: Path) -> None:
    """Make what the commands need: models, what a push keeps, a configuration, and the home that each round copies.

    Args:
        inputs: the folder to make.
        saved_model: a SavedModel; it becomes each of the models.
    """
    from serving.store import model_store

    card = {"dataset": "nano", "sha256": "0", "split": {}, "run_id": "training-1"}
    for model in MODELS:
        shutil.copytree(saved_model, inputs / "models" / model)
        extra = inputs / "models" / model / "assets.extra"
        extra.mkdir(exist_ok=True)
        (extra / "segue.json").write_text(json.dumps(card))
    for model in MODELS:
        (inputs / "requests").mkdir(exist_ok=True)
        (inputs / "requests" / model).touch()  # no requests
    (inputs / "baseline").mkdir()
    (inputs / "baseline" / "schema.pbtxt").write_text("feature {}")
    (inputs / "window").write_bytes(b"window" * 1000)
    (inputs / "empty.json").write_text("{}")
    (inputs / "fast.yaml").write_text(CONFIG)
    home = Home(inputs / "home")
    for _ in range(2):
        model_store.push(home.models, {model: inputs / "models" / model for model in MODELS})
    importing = commands(inputs)["import"]
    earlier = Command("import", [*importing.arguments[:-1], "0"])
    _, errors = earlier.start(home.root, inputs / "site").communicate()
    assert not errors, errors
