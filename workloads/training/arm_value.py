"""What the arms of an experiment would bring, estimated from the log before anybody sees them.

An arm may set many parameters. Home draws only the layout at random, with a chance that the log keeps. So the estimate
covers arms that change the layout policy and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from events.dataset import Tables
from experiments.definition import Definition
from models.evaluation.counterfactual import Estimate
from surfaces.home.arms import home_of
from surfaces.home.layout import LayoutPolicy
from surfaces.home.learning import LoggedPage, fit
from surfaces.home.rules import HomeRules
from surfaces.request import Exploration
from workloads.training.layout_value import decisions, gain
from workloads.training.learn_layout import SEED, composed_events, logged_pages, parted, too_few

PLAYS = {"play": 1.0}  # the reward of an item: whether it was played for at least 30 s
OF_THE_LAYOUT = ("home.layout.", "home.weights.")


@dataclass(frozen=True)
class Forecast:
    """What an arm would bring, beside what the log's pages brought.

    Attributes:
        arm: its name.
        plays: plays of a Home page of the log.
        gain: how many more plays a page would bring, with its 95 % interval and the number of pages of equal weight;
            None if the log cannot say.
        reason: why the log cannot say; empty if it can.
    """

    arm: str
    plays: float | None
    gain: Estimate | None
    reason: str = ""


def forecasts(definition: Definition, tables: Tables, serving: LayoutPolicy) -> list[Forecast]:
    """Estimate the arms of an experiment that set something.

    Args:
        definition: the experiment.
        tables: the imported log.
        serving: the layout policy that serves.
    """
    arms = {arm.name: arm.parameters for arm in definition.arms if arm.parameters}
    others = {
        arm: name for arm, parameters in arms.items() for name in parameters if not name.startswith(OF_THE_LAYOUT)
    }
    pages = logged_pages(composed_events(tables.events_files), tables.items, PLAYS) if arms.keys() - others else []
    results = []
    for arm, parameters in arms.items():
        if arm in others:
            results.append(Forecast(arm, None, None, f"the log has no chance of another {others[arm]}"))
        elif reason := too_few(pages):
            results.append(Forecast(arm, None, None, reason))
        else:
            of_home = {name.removeprefix("home."): value for name, value in parameters.items()}
            results.append(forecast(arm, pages, home_of(serving, HomeRules(), Exploration(), of_home)[0]))
    return results


def forecast(arm: str, pages: Sequence[LoggedPage], policy: LayoutPolicy) -> Forecast:
    """Estimate a layout policy on the pages of one part of the listeners; its reward model is of the other part."""
    to_fit, to_judge = parted(pages)
    plays = float(np.mean([page.reward for page in to_judge]))
    return Forecast(arm, plays, gain(decisions(to_judge, policy, fit(to_fit), SEED), SEED))
