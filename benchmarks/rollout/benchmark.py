"""`segue bench rollout`: who is taken back and who is promoted, in a world without models, beside five strikes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from benchmarks.results import Say, machine, target
from benchmarks.rollout.five_strikes import FiveStrikes
from benchmarks.rollout.world import REQUESTS, SITES, STEP, STEPS_A_DAY, Step, World
from rollout.decision import decide
from rollout.moves import SEGUE, decided
from rollout.plan import Plan
from rollout.rollout import Rollout
from rollout.state_file import State
from serving.store.versions import STABLE

STARTED = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 42  # after which a roll-out that has not ended counts as undecided
TRAFFIC_DAYS = 14  # whose requests are the traffic, of which MOST_SEEN may see a model that is 20 % worse
MOST_SEEN = 0.03
MODELS = {"worse_20": -0.2, "worse_10": -0.1, "equal": 0.0, "better_5": 0.05}
EQUAL = 10  # times as many roll-outs of an equal model as of each other


@dataclass(frozen=True)
class Outcome:
    """The end of a simulated roll-out.

    Args:
        end: `promote`, `take back` or `none`: all planned information is there, or six weeks are over.
        days: Days until then.
        seen: Requests that the candidate answered, as a share of two weeks of requests.
    """

    end: str
    days: float
    seen: float


class Controller:
    """Segue's controller: the same functions decide and carry out as in a model store, without the files."""

    def __init__(self, plan: Plan) -> None:
        first = Rollout(1, {"ranking": 2}, {"ranking": 1}, plan, "running", STARTED)
        self.state = State(rollout=first)

    @property
    def rollout(self) -> Rollout:
        """The roll-out."""
        assert self.state.rollout is not None
        return self.state.rollout

    @property
    def share(self) -> float:
        """The candidate's share of the listeners."""
        return self.rollout.share

    def decide(self, step: Step, at: datetime) -> str:
        """Return the action for a step; `none` once all planned information is there and a person is to decide."""
        decision = decide(self.rollout, step.look, at)
        self.state = decided(self.state, decision, SEGUE, at, {"ranking": {STABLE: 1}})
        evidence = decision.evidence.values()
        stuck = decision.action == "keep" and any(each.complete and not each.shown for each in evidence)
        return "none" if stuck else decision.action


def run(rollouts: int, say: Say, seed: int = 0) -> dict[str, Any]:
    """Simulate roll-outs of worse, equal and better models.

    Args:
        rollouts: Roll-outs of each model; ten times as many of the equal one.
        say: Prints progress.
        seed: Seed of everything.

    Returns:
        By site, `segue` and `five_strikes`: model -> shares `promoted`, `taken_back` and `undecided`, `in_time` (taken
        back before 3 % of two weeks' requests saw the model), and the median `days` and `seen`; `plan`, `targets` (of
        the larger site), `machine`.
    """
    plan = Plan()
    sites: dict[str, Any] = {}
    for site, listeners in SITES.items():
        sites[site] = {name: {} for name in CONTESTANTS}
        for name, contestant in CONTESTANTS.items():
            for number, (model, effect) in enumerate(MODELS.items()):
                count = rollouts * (EQUAL if model == "equal" else 1)
                say(f"{site}, {name}: {count:,} roll-outs of a model that is {effect:+.0%}")
                outcomes = [one(contestant, plan, listeners, effect, [seed, number, each]) for each in range(count)]
                sites[site][name][model] = summary(outcomes)
    return {
        "rollouts": rollouts,
        "equal": EQUAL * rollouts,
        "listeners": SITES,
        "plan": plan.to_dict(),
        "sites": sites,
        "targets": targets(sites["ten_times"]["segue"]),
        "machine": machine("numpy", "scipy"),
    }


CONTESTANTS: dict[str, Callable[[Plan], Controller | FiveStrikes]] = {"segue": Controller, "five_strikes": FiveStrikes}


def one(
    contestant: Callable[[Plan], Controller | FiveStrikes], plan: Plan, listeners: int, effect: float, seed: list[int]
) -> Outcome:
    """Simulate one roll-out; the contestants meet listeners of the same seed."""
    world = World(effect, f"rollout/{'-'.join(map(str, seed))}", listeners, np.random.default_rng(seed))
    decides = contestant(plan)
    for number in range(1, DAYS * STEPS_A_DAY + 1):
        at = STARTED + number * STEP
        step = world.step(decides.share, at)
        action = decides.decide(step, at)
        if action in ("promote", "take back", "none"):
            break
    else:
        action = "none"
    return Outcome(action, number / STEPS_A_DAY, step.by_candidate / (TRAFFIC_DAYS * REQUESTS * listeners))


def summary(outcomes: list[Outcome]) -> dict[str, float]:
    """Return the shares of ends, and the median days and traffic until then."""
    ends = [outcome.end for outcome in outcomes]
    return {
        "promoted": ends.count("promote") / len(ends),
        "taken_back": ends.count("take back") / len(ends),
        "undecided": ends.count("none") / len(ends),
        "in_time": sum(each.end == "take back" and each.seen < MOST_SEEN for each in outcomes) / len(ends),
        "days": float(np.median([each.days for each in outcomes])),
        "seen": float(np.median([each.seen for each in outcomes])),
    }


def targets(measured: dict[str, dict[str, float]]) -> dict[str, dict[str, Any]]:
    """Return the targets of a run."""
    return {
        "worse_20_taken_back_in_time": target(measured["worse_20"]["in_time"], at_least=0.95),
        "worse_10_promoted": target(measured["worse_10"]["promoted"], at_most=0),
        "better_5_promoted": target(measured["better_5"]["promoted"], at_least=0.75),
        "equal_taken_back": target(measured["equal"]["taken_back"], at_most=0.05),
        "equal_promoted": target(measured["equal"]["promoted"], at_least=0.8),
    }
