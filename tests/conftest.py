"""Shared fixtures. Nothing here imports TensorFlow: a test that needs it says so itself."""

import os
import signal
from pathlib import Path

import pytest

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # before anything imports TensorFlow
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

pytest_plugins = [f"tests.support.{name}" for name in ("build_once", "model_servers", "nano_loop", "services")]

# The files that take longest, in the order in which they start (`make test` passes --no-loadscope-reorder): a long file
# that starts last leaves the other worker idle. The first two files do not wait for the same trained home.
SLOWEST = (
    "pipelines/test_training.py",
    "benchmarks/serving/test_benchmark.py",
    "pipelines/test_cluster_profile.py",
    "workloads/simulation/test_simulate.py",
    "docs/test_own_data.py",
    "pipelines/test_gates.py",
    "pipelines/test_failures.py",
    "workloads/test_real_training_set.py",
    "pipelines/test_add_items.py",
    "pipelines/test_search.py",
    "benchmarks/retrieval/test_benchmark.py",
    "models/sequence/test_fit.py",
    "models/saved/test_added_items.py",
)

# Fixtures that train a model, load a trained model, start the server of the hostile tests or write a log with a planted
# effect. They take seconds, so a test that uses one of them is slow.
SLOW = {f"{how}_{model}" for how in ("trained", "saved") for model in ("retrieval", "ranking", "sequence")} | {
    "retrieval_signatures",
    "ranking_signatures",
    "predictions",
    "server_process",
    "open_planted",
}

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure() -> None:
    """Load psycopg before a test loads TensorFlow, because other libraries of the tests load it as they like."""
    from stores.registry import load_psycopg

    load_psycopg()


@pytest.fixture
def home(tmp_path: Path):
    """An empty home folder."""
    from segue.settings import Home

    return Home(tmp_path / "home")


@pytest.fixture
def default_signals():
    """SIGHUP and SIGINT end a process, even if the tests run in the background, where a shell makes both ignored.

    Child processes inherit what is ignored, so the fixture comes before the fixture that starts the process.
    """
    handlers = {signal.SIGHUP: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data sets; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder ../shared/data is absent")
    return SHARED_DATA


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a test of bytes by the argument: compressed bytes hold the time, and all workers must agree on names."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests with slow fixtures as slow, and run the slowest files first; the order of all other files stays."""
    for item in items:
        if SLOW & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    order = {Path(__file__).parent / name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: order.get(item.path, len(SLOWEST)))
