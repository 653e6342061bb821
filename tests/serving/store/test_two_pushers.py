"""Two processes in homes of their own change the shared model store at the same moment: nothing is lost or mixed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from segue.settings import Home
from serving.protocol.config_files import parse_config
from serving.store import model_store, versions
from stores import parts
from stores.s3 import Bucket
from stores.settings import settings
from stores.trees import Document

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
MODELS = ("ranking", "retrieval")
PUSHES = 6
PUSH = """
import sys
from pathlib import Path
from segue.entry import enter
from segue.settings import Home
from serving.store import model_store
from stores import parts
def push():
    home = Home.from_env()
    models = dict.fromkeys(sys.argv[3:], Path(sys.argv[2]))
    for _ in range(int(sys.argv[1])):
        print(parts.change(home, parts.MODELS, lambda: model_store.push(home.models, models, keep=100)), flush=True)
enter(push)
"""


@pytest.fixture
def start(cluster, tmp_path):
    """`start(home, *arguments)`: starts Python in the home of that name."""
    processes = []

    def run(home: str, *arguments: str) -> subprocess.Popen:
        environment = {**os.environ, **cluster, "SEGUE_HOME": str(tmp_path / home), "PYTHONPATH": str(ROOT)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen([sys.executable, *arguments], env=environment, **pipes))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.wait()


def test_promotions_and_pushes_at_once_are_kept_or_refused(start, source, tmp_path):
    """If this fails, a promotion takes back a push, or the servers get the labels of one and the files of another."""
    assert start("pusher", "-c", PUSH, "1", str(source), *MODELS).wait(60) == 0
    pusher = start("pusher", "-c", PUSH, str(PUSHES), str(source), *MODELS)
    promoted = []
    while pusher.poll() is None:
        label = f"best{len(promoted)}"
        person = start("person", "-m", "segue", "models", "promote", "1", "--label", label)
        _, error = person.communicate(timeout=60)
        assert person.returncode in (0, 75), error
        promoted += [label] * (person.returncode == 0)
    pushed, error = pusher.communicate()
    assert pusher.returncode in (0, 75), error
    assert promoted
    newest = 1 + len(pushed.split())

    reader = Home(tmp_path / "reader")
    parts.bring(reader, parts.MODELS)
    for model, labels in model_store.labels(reader.models).items():
        assert labels == {"stable": newest, **dict.fromkeys(promoted, 1)}
        assert versions.versions(reader.models, model) == list(range(1, newest + 1))
        assert all(versions.verify(reader.models, model, version) for version in range(1, newest + 1))

    now = settings()
    bucket = Bucket.at(str(now.models), now)
    revisions = [Document.model_validate_json(bucket.get(stored.key)).files for stored in bucket.list("revisions/")]
    assert len(revisions) == newest + len(promoted)
    for files in revisions:
        entries = parse_config(bucket.get(f"blobs/{files['models.config'].sha256}").decode())
        assert {f"{entry.name}/{v}/saved_model.pb" for entry in entries for v in entry.specific} <= files.keys()
        assert len({entry.labels["stable"] for entry in entries}) == 1
