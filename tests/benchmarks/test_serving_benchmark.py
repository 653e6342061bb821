"""The serving benchmarks run and say what they promise; no speed is asserted."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.serving import benchmark as serving
from benchmarks.serving import kill as serving_kill
from benchmarks.serving import load as serving_load
from benchmarks.serving import sequence as serving_sequence
from benchmarks.serving import soak as serving_soak
from benchmarks.serving.benchmark import Cell
from benchmarks.serving.process import cpu_seconds, ending, free_port, rss_mb, target, wait_ready
from benchmarks.serving.stored_models import same_top
from segue.errors import SegueError


def top(ids: list[int], scores: list[float]) -> dict[str, np.ndarray]:
    return {"ids": np.array([ids]), "scores": np.array([scores], np.float32)}


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        (top([7, 8], [2, 1]), top([7, 8], [2, 1]), True),
        (top([7, 8], [2, 2]), top([8, 7], [2, 2]), True),
        (top([7, 8], [2, 1]), top([7, 9], [2, 1]), True),  # 8 and 9 share the last place
        (top([7, 8], [2, 1]), top([8, 7], [2, 1]), False),
        (top([7, 8], [2, 1]), top([9, 8], [2, 1]), False),
        (top([7, 8], [2, 1]), top([7, 8], [2, 1.1]), False),
        (top([7, 7], [2, 2]), top([7, 8], [2, 2]), False),
        (top([7], [2]), top([7, 8], [2, 1]), False),
    ],
)
def test_the_same_candidates_up_to_ties(ours, theirs, same):
    assert same_top(ours, theirs) is same


def test_the_median_of_the_rounds_counts():
    def rounds(*figures: float) -> list[Cell]:
        return [Cell(figure, figure, figure, figure) for figure in figures]

    cells = {}
    for n in serving.IN_FLIGHT:
        cells["ranking", n, "in_process"] = rounds(1, 1, 1)
        cells["ranking", n, "naive"] = rounds(4, 2, 3)
        cells["ranking", n, "server"] = rounds(9, 90, 1)
    figures = serving.report("ranking", cells)

    assert set(figures) == set(serving.FIGURES)
    assert figures["naive_rps"] == {"1": 3, "8": 3, "32": 3}
    assert figures["server_rps"]["32"] == 9
    assert figures["overhead_cpu_ms"]["32"] == 9 - 1
    found = serving.targets({"ranking": figures, "retrieval": figures})
    # Within the rounds: 9/4, 90/2, 1/3.
    assert found["ranking_times_naive"] == {"value": 2.25, "at_least": 3.0, "holds": False}
    assert found["retrieval_times_naive"] == {"value": 2.25, "at_least": 4.0, "holds": False}
    assert found["ranking_added_p50_ms"] == {"value": 8, "at_most": 1.2, "holds": False}


def test_limits_may_be_met_exactly():
    assert target(3, least=3)["holds"]
    assert target(3, most=3)["holds"]
    assert not target(3, most=2)["holds"]


def test_what_the_kernel_knows_of_a_process():
    spin = "n = 0\nwhile True: n += 1"
    with ending(subprocess.Popen([sys.executable, "-c", spin])) as process:
        while cpu_seconds(process.pid) < 0.1:
            assert process.poll() is None
        assert 1 < rss_mb(process.pid) < 500
    assert process.returncode is not None


def test_a_server_that_ends_is_told_with_its_log(tmp_path):
    log = tmp_path / "log"
    log.write_text("no such model")
    with (
        ending(subprocess.Popen([sys.executable, "-c", ""])) as process,
        pytest.raises(SegueError) as caught,
    ):
        wait_ready(process, f"127.0.0.1:{free_port()}", ["ranking"], log)
    assert "no such model" in caught.value.fix


class Pushed:
    """What `wrong_answers` needs of a pusher: 1 is stable, from 10 to 12 it becomes 2."""

    variants = {1: 0, 2: 1}  # noqa: RUF012
    reloads = (serving_soak.Reload(0, 0, 1), serving_soak.Reload(10, 12, 2))


@pytest.mark.parametrize(
    ("sent", "version", "variant", "right"),
    [
        (9.0, 1, 0, True),
        (9.0, 2, 1, False),
        (11.0, 1, 0, True),
        (11.0, 2, 1, True),
        (13.0, 2, 1, True),
        (13.0, 1, 0, False),
        (13.0, 2, 0, False),
        (13.0, 3, 1, False),
    ],
)
def test_which_version_may_answer(sent, version, variant, right):
    rows = np.array([[sent, 0.01, 0, version, variant]])

    assert (not serving_soak.wrong_answers(rows, Pushed())) is right


@pytest.mark.slow
def test_serving_is_measured(monkeypatch):
    monkeypatch.setattr(serving, "IN_FLIGHT", (1, 32))
    monkeypatch.setattr(serving_sequence, "ITEMS", 500)
    found = serving.run(0.3, lambda line: None, rounds=1)

    assert set(found) == {"retrieval", "ranking", "sequence", "targets", "machine", "batching", "seconds"}
    for model in serving.MODELS:
        assert set(found[model]) == set(serving.FIGURES)
        for name in serving.FIGURES:
            assert set(found[model][name]) == {"1", "32"}
        assert all(
            rps > 0 for name in ("in_process", "naive", "server") for rps in found[model][f"{name}_rps"].values()
        )
        assert all(found[model]["p50_ms"][n] <= found[model]["p99_ms"][n] for n in ("1", "32"))
    assert len(found["targets"]) == 8
    assert found["batching"]["max_batch_size"] == 6400
    for figures in found["sequence"].values():
        assert 0 < figures["p50_ms"] <= figures["p99_ms"]
        assert figures["in_process_p50_ms"] > 0
    assert set(found["sequence"]) == {"next", "generate", "decode"}
    assert {"next_p50_ms", "generate_p50_ms"} <= set(found["targets"])


@pytest.mark.slow
def test_a_soak_without_a_failure(monkeypatch):
    monkeypatch.setattr(serving_soak, "PEAK_SECONDS", 1.0)
    monkeypatch.setattr(serving_soak, "SHARE_OF_PEAK", 0.3)  # other tests run at the same time
    found = serving_soak.run(0.3, lambda line: None, every=6.0)

    assert found["failures"] == 0, found["failure_texts"]
    assert found["reloads"] >= 2
    assert found["requests"] > 100
    assert 0 < found["rss_first_mb"] <= found["rss_max_mb"]
    assert set(found["p50_ms"]) == set(found["p99_ms"]) == {"during_reloads", "between"}


@pytest.mark.slow
def test_kills_leave_a_whole_version():
    lines: list[str] = []

    found = serving_kill.run(2, 5, lines.append)  # seed 5 kills the pusher, then the server under a pusher

    assert found["failures"] == []
    assert found["pusher_kills"] == found["rounds"] == len(lines) == 2
    assert found["pushes"] >= 2
    assert found["server_kills"] == 1
    assert 0 < found["slowest_restart_seconds"] < 60


def test_a_rate_is_kept():
    """The load's pace alone, without a server: every call is refused at once."""
    import asyncio
    import time

    import grpc

    plan = serving_load.Plan(f"127.0.0.1:{free_port()}", 0, ("ranking",), 4, 1.0, rate=50.0)

    async def send() -> serving_load.Sender:
        async with grpc.aio.insecure_channel(plan.address) as channel:
            sender = serving_load.Sender(plan, channel)
            await sender.send(plan.seconds)
            return sender

    began = time.monotonic()
    sender = asyncio.run(send())

    assert 25 <= sum(sender.failures.values()) <= 51
    assert all(text.startswith("UNAVAILABLE") for text in sender.failures)
    assert time.monotonic() - began >= 1.0
    assert all(left <= right for left, right in pairwise(row[0] for row in sender.rows))
