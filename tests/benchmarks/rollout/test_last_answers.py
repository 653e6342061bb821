"""From a decision to the last answer: the figures by hand, and one decision; `segue bench rollout` has a gateway."""

import threading
import time

import pytest

from benchmarks.rollout.last_answers import LISTENERS, Load, figures, going_on, taken_back, targets
from rollout.moves import start
from rollout.plan import Plan
from rollout.state_file import change
from serving.store.split import read_split
from tests.rollout.conftest import AT, source, store  # noqa: F401  (fixtures)


def test_figures_worked_by_hand():
    assert figures([0.1, 0.2, 0.3]) == {"p50": 0.2, "p99": pytest.approx(0.298), "most": 0.3}
    assert targets({"p99": 1.2})["decision_to_last_canary_p99"]["holds"] is False


def test_the_seconds_count_to_the_last_answer_after_the_decision(store):  # noqa: F811
    """After the share is 0 the candidate still answers 25 times, 2 ms apart; the seconds must count these answers."""
    root = store()
    start(root, None, Plan(shadow=0.0, stages=(0.5,)), "test", AT)
    load, ended = Load(None), threading.Event()

    def listen():
        left = 25
        while not ended.is_set():
            now = time.perf_counter()
            left -= read_split(root).share == 0.0
            if left > 0:
                load.candidate.append(now)
            load.asked = [now] * LISTENERS
            time.sleep(0.002)

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        seconds = taken_back(root, load, AT)
    finally:
        ended.set()
        thread.join()
    assert 0.02 < seconds < 30
    state = change(root, going_on)
    assert (state.rollout.phase, state.rollout.share) == ("running", 0.5)
