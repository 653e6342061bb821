"""The serving benchmarks run and give the figures that they promise. No test asserts a speed."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.serving import benchmark, kill, load, soak
from benchmarks.serving import sequence as serving_sequence
from benchmarks.serving.benchmark import Cell
from benchmarks.serving.process import cpu_seconds, ending, free_port, rss_mb, wait_ready
from benchmarks.serving.stored_models import same_top
from segue.errors import SegueError


def top(ids: list[int], scores: list[float]) -> dict[str, np.ndarray]:
    return {"ids": np.array([ids]), "scores": np.array([scores], np.float32)}


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        (top([7, 8], [2, 1]), top([7, 8], [2, 1]), True),
        (top([7, 8], [2, 2]), top([8, 7], [2, 2]), True),
        (top([7, 8], [2, 1]), top([7, 9], [2, 1]), True),  # 8 and 9 are tied for the last place
        (top([7, 8], [2, 1]), top([8, 7], [2, 1]), False),
        (top([7, 8], [2, 1]), top([9, 8], [2, 1]), False),
        (top([7, 8], [2, 1]), top([7, 8], [2, 1.1]), False),
        (top([7, 7], [2, 2]), top([7, 8], [2, 2]), False),
        (top([7], [2]), top([7, 8], [2, 1]), False),
    ],
)
def test_answers_are_compared_up_to_ties(ours, theirs, same):
    assert same_top(ours, theirs) is same


def test_figures_are_medians_of_the_rounds():
    def rounds(*figures: float) -> list[Cell]:
        return [Cell(figure, figure, figure, figure) for figure in figures]

    cells = {}
    for n in benchmark.IN_FLIGHT:
        cells["ranking", n, "in_process"] = rounds(1, 1, 1)
        cells["ranking", n, "naive"] = rounds(4, 2, 3)
        cells["ranking", n, "server"] = rounds(9, 90, 1)
    figures = benchmark.report("ranking", cells)

    assert set(figures) == set(benchmark.FIGURES)
    assert figures["naive_rps"] == {"1": 3, "8": 3, "32": 3}
    assert figures["server_rps"]["32"] == 9
    assert figures["overhead_cpu_ms"]["32"] == 9 - 1
    limits = benchmark.targets({"ranking": figures, "retrieval": figures})
    # The ratios within the rounds are 9/4, 90/2 and 1/3; their median is 9/4.
    assert limits["ranking_times_naive"] == {"value": 2.25, "at_least": 3.0, "holds": False}
    assert limits["retrieval_times_naive"] == {"value": 2.25, "at_least": 4.0, "holds": False}
    assert limits["ranking_added_p50_ms"] == {"value": 8, "at_most": 1.2, "holds": False}


def test_cpu_time_and_memory_of_a_process():
    spin = "n = 0\nwhile True: n += 1"
    with ending(subprocess.Popen([sys.executable, "-c", spin])) as process:
        while cpu_seconds(process.pid) < 0.1:
            assert process.poll() is None
        assert 1 < rss_mb(process.pid) < 500
    assert process.returncode is not None


def test_the_error_for_a_server_that_ends_shows_its_log(tmp_path):
    log = tmp_path / "log"
    log.write_text("no such model")
    with (
        ending(subprocess.Popen([sys.executable, "-c", ""])) as process,
        pytest.raises(SegueError) as caught,
    ):
        wait_ready(process, f"127.0.0.1:{free_port()}", ["ranking"], log)
    assert "no such model" in caught.value.fix


class Pushed:
    """A pusher, as far as `wrong_answers` needs it: version 1 is stable, and from 10 s to 12 s version 2 becomes so."""

    variants = {1: 0, 2: 1}  # noqa: RUF012
    reloads = (soak.Reload(0, 0, 1), soak.Reload(10, 12, 2))


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
def test_only_a_stable_version_may_answer(sent, version, variant, right):
    rows = np.array([[sent, 0.01, 0, version, variant]])

    assert (not soak.wrong_answers(rows, Pushed())) is right


@pytest.mark.slow
def test_the_serving_benchmark_measures_every_model(monkeypatch):
    monkeypatch.setattr(benchmark, "IN_FLIGHT", (1, 32))
    monkeypatch.setattr(serving_sequence, "ITEMS", 500)
    result = benchmark.run(0.3, lambda line: None, rounds=1)

    assert set(result) == {"retrieval", "ranking", "sequence", "targets", "machine", "batching", "seconds"}
    for model in benchmark.MODELS:
        assert set(result[model]) == set(benchmark.FIGURES)
        for name in benchmark.FIGURES:
            assert set(result[model][name]) == {"1", "32"}
        assert all(
            rps > 0 for name in ("in_process", "naive", "server") for rps in result[model][f"{name}_rps"].values()
        )
        assert all(result[model]["p50_ms"][n] <= result[model]["p99_ms"][n] for n in ("1", "32"))
    assert len(result["targets"]) == 8
    assert result["batching"]["max_batch_size"] == 6400
    for figures in result["sequence"].values():
        assert 0 < figures["p50_ms"] <= figures["p99_ms"]
        assert figures["in_process_p50_ms"] > 0
    assert set(result["sequence"]) == {"next", "generate", "decode"}
    assert {"next_p50_ms", "generate_p50_ms"} <= set(result["targets"])


@pytest.mark.slow
def test_a_soak_without_a_failure(monkeypatch):
    monkeypatch.setattr(soak, "PEAK_SECONDS", 1.0)
    monkeypatch.setattr(soak, "SHARE_OF_PEAK", 0.3)  # other tests run at the same time
    result = soak.run(0.3, lambda line: None, every=6.0)

    assert result["failures"] == 0, result["failure_texts"]
    assert result["reloads"] >= 2
    assert result["requests"] > 100
    assert 0 < result["rss_first_mb"] <= result["rss_max_mb"]
    assert set(result["p50_ms"]) == set(result["p99_ms"]) == {"during_reloads", "between"}


@pytest.mark.slow
def test_kills_leave_a_complete_version():
    lines: list[str] = []

    result = kill.run(2, 5, lines.append)  # seed 5 kills the pusher, then the server under a pusher

    assert result["failures"] == []
    assert result["targets"] == {"failures": {"value": 0, "at_most": 0, "holds": True}}
    assert result["pusher_kills"] == result["rounds"] == len(lines) == 2
    assert result["pushes"] >= 2
    assert result["server_kills"] == 1
    assert 0 < result["slowest_restart_seconds"] < 60


def test_a_sender_keeps_the_rate():
    """Without a server every call is refused at once, so only the sender's own pace counts."""
    import asyncio
    import time

    import grpc

    plan = load.Plan(f"127.0.0.1:{free_port()}", 0, ("ranking",), 4, 1.0, rate=50.0)

    async def send() -> load.Sender:
        async with grpc.aio.insecure_channel(plan.address) as channel:
            sender = load.Sender(plan, channel)
            await sender.send(plan.seconds)
            return sender

    began = time.monotonic()
    sender = asyncio.run(send())

    assert 25 <= sum(sender.failures.values()) <= 51
    assert all(text.startswith("UNAVAILABLE") for text in sender.failures)
    assert time.monotonic() - began >= 1.0
    assert all(left <= right for left, right in pairwise(row[0] for row in sender.rows))
