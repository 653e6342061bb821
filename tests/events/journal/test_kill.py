"""A journal that is killed while it writes loses nothing that it has acknowledged, and counts nothing twice."""

import os
import signal
import threading
from itertools import count
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pytest

from events import dataset
from events.journal.collect import collect
from events.journal.journal import open_journal
from events.journal.records import Exposure, Feedback, read_feedback
from stores.settings import Settings
from tests.events.journal.conftest import NOON

ROUNDS = 30


def write_until_killed(home, name: str, pipe: int) -> NoReturn:
    """Write pages and feedback to the journal, and the ids of feedback that is durable to a pipe, one a line.

    Some events come twice, as from a client that got no answer.
    """
    journal = open_journal(home, Settings())
    for number in count():
        request, user = f"{name}-{number}", f"u{number % 3}"
        journal.append([
            Exposure(request, user, None, NOON, "home", "", row, 1, row, f"i{row}", "layout", "1")
            for row in range(1, 6)
        ])  # fmt: skip
        feedback = [Feedback(f"{request}-{n}", request, user, None, f"i{n}", "play", 1000, NOON) for n in (2, 3)]
        text = "".join(f"{one.event_id}\n" for one in feedback).encode()
        for _ in range(1 + (number % 3 == 0)):
            future = journal.record(feedback)
            future.add_done_callback(lambda written, text=text: written.result() and os.write(pipe, text))
        future.result()


def acknowledged_until_killed(home, name: str, seconds: float) -> set[str]:
    """Run a writer, kill it some seconds after its first acknowledgement, and return all that it has acknowledged."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            write_until_killed(home, name, writing)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as lines:
        known = [lines.readline()]
        threading.Timer(seconds, os.kill, [process, signal.SIGKILL]).start()
        known += lines
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status)
    return {line.strip() for line in known if line.endswith("\n")}  # the last line may be cut


@pytest.mark.slow
def test_thirty_killed_writers_lose_no_acknowledged_feedback_and_count_none_twice(home):
    rng, acknowledged = np.random.default_rng(0), set()
    items = pa.table({"item_id": [f"i{n}" for n in range(1, 6)], "title": [f"Title {n}" for n in range(1, 6)]})
    for number in range(ROUNDS):
        acknowledged |= acknowledged_until_killed(home, f"w{number}", rng.uniform(0, 0.1))
        if number % 10 == 9:
            journal = open_journal(home, Settings())
            collect(journal, home.data, None if home.data.exists() else items)
            journal.close()
    journal = open_journal(home, Settings())
    kept = [read_feedback(body).event_id for request in journal.keeping.changed("") for body in request.feedback]
    journal.close()
    assert len(acknowledged) > 10 * ROUNDS
    assert len(kept) == len(set(kept))
    assert acknowledged <= set(kept)
    events = dataset.load(home.data).events()
    plays = [row["event_id"] for row in events.to_pylist() if row["action"] == "play"]
    assert sorted(plays) == sorted(kept)
    assert events["exposure"].null_count == 0  # a page is written before its feedback
