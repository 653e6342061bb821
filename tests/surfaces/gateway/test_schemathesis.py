"""The whole API against its own document: every answer has a declared status and shape, and no request makes a 5xx."""

import asyncio
import subprocess
import sys
import threading

import pytest

from surfaces.gateway.run import listening, serve
from tests.support.soon import SECONDS
from tests.surfaces.gateway.conftest import open_client

pytestmark = pytest.mark.slow

# Requests that fit the document may still be wrong: ids, times and names that the document cannot list.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = [200, 404, 409, 422]

[checks.negative_data_rejection]
expected-statuses = [400, 404, 405, 409, 413, 422]
"""


@pytest.fixture
def address(world):
    """The address of a gateway that answers on loopback while the test runs."""
    bound, started = listening("127.0.0.1", 0), threading.Event()
    loop, stopping = asyncio.new_event_loop(), asyncio.Event()

    async def run():
        async with open_client(world) as client:
            await serve(client.gateway, bound, (), started.set, stopping)

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert started.wait(SECONDS)
    yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    loop.call_soon_threadsafe(stopping.set)
    thread.join(SECONDS)
    loop.close()
    bound.close()


def test_every_answer_fits_the_document(address, tmp_path):
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{address}/openapi.json"),
        *("--max-examples", "20", "--seed", "1", "--workers", "1", "--generation-database", "none"),
        *("--request-timeout", "10"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
