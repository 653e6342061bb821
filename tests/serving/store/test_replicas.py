"""Two replicas with the manifests' own flags and files follow the model store, with no call and no failed request."""

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack

import grpc
import pytest

from segue.errors import UnavailableError
from segue.settings import Home
from serving.store import model_store
from serving.store.sync import sync
from stores import parts
from tests.serving.store.replicas import Caller, Replica, answering, containers

pytestmark = pytest.mark.slow

MODELS = ("retrieval", "ranking", "sequence")
SECONDS = 60  # for a replica to follow, on a machine that is busy with other things


@pytest.fixture
def change(cluster, tmp_path) -> Callable:
    """`change(function, ...)`: changes the model store as the commands of a person and the push of a run do."""
    home = Home(tmp_path / "person")
    return lambda function, *args, **options: parts.change(
        home, parts.MODELS, lambda: function(home.models, *args, **options)
    )


@pytest.fixture
def replicas(cluster, tmp_path):
    """A function that makes a replica; all are ended after the test."""
    made = []

    def make(name: str) -> Replica:
        made.append(Replica(tmp_path / name, cluster))
        return made[-1]

    yield make
    for replica in made:
        replica.stop()


def wait(condition: Callable[[], bool], doing: str) -> float:
    """Wait until a condition holds, and return how many seconds it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < SECONDS, f"{doing}: not within {SECONDS} s"
        time.sleep(0.05)
    return time.monotonic() - start


def answered(change: Callable, function: Callable) -> bool:
    """Change the store; false if the object store does not answer yet: started again, it needs a moment."""
    try:
        change(function)
    except UnavailableError:
        return False
    return True


def labels(replica: Replica, *names: str) -> dict[str, int]:
    """The labels that answer in a replica, with the version that all models answer by."""
    found = {}
    for label in names:
        try:
            (found[label],) = {answering(replica, model, label) for model in MODELS}
        except ValueError:  # a label is moving
            found[label] = 0
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.INVALID_ARGUMENT:  # of a label that is not there
                raise
    return found


def test_two_replicas_follow_the_store_under_load(change, replicas, saved_models, objects, capsys):
    """If this fails, users of one replica see other models than users of another, or see errors at a push."""
    pods = [replicas("a"), replicas("b")]
    callers = [Caller(MODELS), Caller(MODELS)]
    took = {}

    def push(scale: str, label: str = "stable") -> None:
        change(model_store.push, dict.fromkeys(MODELS, saved_models[scale]), label=label)

    def agreed(step: str, **expected: int) -> None:
        asked = ("stable", "canary", "best")
        took[step] = wait(lambda: all(labels(pod, *asked) == expected for pod in pods), f"{step}: {expected}")

    def begin(pod: Replica) -> None:
        assert pod.start("first-models").wait(SECONDS) == 0
        pod.start("sync")
        pod.start("tf-serving")

    empty = [pod.start("first-models") for pod in pods]
    wait(lambda: all("waiting for a push to s3://" in pod.log("first-models") for pod in pods), "an empty store")
    assert [process.poll() for process in empty] == [None, None]
    push("one")
    for pod, process in zip(pods, empty, strict=True):
        assert process.wait(SECONDS) == 0
        pod.start("sync")
        pod.start("tf-serving")
    took["start"] = wait(lambda: all(pod.ready() for pod in pods), "start")

    with ExitStack() as load:
        for caller, pod in zip(callers, pods, strict=True):
            load.enter_context(caller.calling(pod))
        agreed("first push", stable=1)
        push("two")
        agreed("push", stable=2)

        with callers[0].paused():  # a pod is replaced: another one, with an empty folder, takes its place
            pods[0].end("tf-serving", signal.SIGTERM)
            pods[0].stop()
            pods[0] = callers[0].replica = replicas("c")
            push("one", "canary")
            begin(pods[0])
            wait(pods[0].ready, "a pod is replaced")
        agreed("canary", stable=2, canary=3)
        change(model_store.promote)
        agreed("promote", stable=3, canary=3)

        objects.kill()
        try:
            with callers[1].paused():  # a container is killed while the object store is away; its folder stays
                pods[1].end("tf-serving", signal.SIGKILL)
                pods[1].start("tf-serving")
                wait(pods[1].ready, "a container is killed")
            agreed("without the object store", stable=3, canary=3)
        finally:
            objects.start()
        wait(lambda: answered(change, model_store.rollback), "the object store is back")
        change(model_store.promote, 3, "best")
        agreed("rollback", stable=2, canary=2, best=3)
        change(model_store.drop, "best")
        agreed("drop", stable=2, canary=2)

    with capsys.disabled():
        print("\nseconds until both replicas agree:", {step: round(seconds, 1) for step, seconds in took.items()})
    for caller in callers:
        assert caller.failures == []
        assert caller.seen == [1, 2, 3, 2]
        assert caller.requests > 100


def test_the_sidecar_asks_the_servers_own_port():
    """If this fails, labels never move: the sidecar asks a port on which nothing answers."""
    server = containers()["tf-serving"]
    flags = dict(argument.removeprefix("--").split("=", 1) for argument in server["args"])
    (asked,) = (option.default for option in sync.params if option.name == "server")
    assert asked == f"127.0.0.1:{flags['rest_api_port']}"
    assert flags["allow_version_labels_for_unavailable_models"] == "true"  # a server starts with labels
    assert float(flags["model_config_file_poll_wait_seconds"]) > 0
