"""Random search over a model's settings (Bergstra and Bengio, JMLR 2012), judged on the validation span.

Early stopping within a trial uses the validation loss too. Every trial has this advantage, so choosing among trials by
the same span is fair. The test span stays untouched for the evaluation of the chosen trial.
"""

import math
from dataclasses import fields
from typing import Any

import numpy as np

from models.training_config import TrainingConfig
from segue.errors import InputError
from segue.yaml_settings import build

# The default search space, used if the configuration names no setting.
SPACE: dict[str, list] = {"learning_rate": [3e-4, 1e-2], "dim": [32, 64, 128]}

LOWEST = 1e-9  # of a range

Values = dict[str, Any]


def plan(config: TrainingConfig, seed: int) -> list[Values]:
    """The settings of each trial, all distinct.

    The first trial is the run's own configuration, so a search never ends with a worse model. The other trials are
    drawn: log-uniformly from a range, uniformly from choices.

    Args:
        config: `search` names the model, the number of trials and the space.
        seed: seed of the draws.

    Returns:
        The searched settings by name, one mapping per trial; fewer than `search.trials` if the space has no more.

    Raises:
        InputError: a setting of another model, an empty range, or a value that the setting does not take.
    """
    searched = space(config)
    own = typed(config, {name: getattr(getattr(config, config.search.model), name) for name in searched})
    trials, limit = [own], min(config.search.trials, combinations(searched, own))
    rng = np.random.default_rng(seed)
    while len(trials) < limit:
        values = typed(config, {name: draw(own[name], choices, rng) for name, choices in searched.items()})
        if values not in trials:
            trials.append(values)
    return trials


def space(config: TrainingConfig) -> dict[str, list]:
    """The search space by setting: the ends of a range, or distinct choices, in the setting's own type.

    Raises:
        InputError: a setting of another model, an empty range, or a value that the setting does not take.
    """
    model = config.search.model
    own = getattr(config, model)
    settings = [f.name for f in fields(own)]
    searched: dict[str, list] = {}
    for name, values in (config.search.space or SPACE).items():
        path = f"search.space.{name}"
        if name not in settings:
            raise InputError(
                f"There is no setting {name!r} of {model} to search ({path}).",
                f"The settings are: {', '.join(settings)}.",
            )
        choices = [getattr(build(type(own), {name: value}, "search.space"), name) for value in values]
        # Between closer ends there may be fewer numbers than trials.
        if is_range(getattr(own, name), choices) and not LOWEST <= choices[0] < choices[1] / (1 + LOWEST):
            raise InputError(
                f"{path} is a log-uniform range and needs {LOWEST} <= low < high. Received {values}.",
                "Write the lower end first.",
            )
        searched[name] = [value for n, value in enumerate(choices) if value not in choices[:n]]
    return searched


def is_range(default: Any, choices: list) -> bool:
    """Whether a setting's list is a range: two values of a setting whose default is a float.

    The type of the default decides, because a pipeline parameter brings every number as a float.
    """
    return isinstance(default, float) and len(choices) == 2


def combinations(searched: dict[str, list], own: Values) -> float:
    """The number of distinct trials, including the run's own configuration; infinite if a setting has a range."""
    if any(is_range(own[name], choices) for name, choices in searched.items()):
        return math.inf
    own_is_extra = any(own[name] not in choices for name, choices in searched.items())
    return math.prod(len(choices) for choices in searched.values()) + own_is_extra


def draw(default: Any, choices: list, rng: np.random.Generator) -> Any:
    """Draw a value of a setting."""
    if is_range(default, choices):
        return float(np.exp(rng.uniform(*np.log(choices))))
    return choices[rng.integers(len(choices))]


def configured(config: TrainingConfig, values: Values) -> TrainingConfig:
    """The run's configuration with a trial's settings.

    Raises:
        InputError: the model's configuration does not take them.
    """
    settings = config.to_dict()
    settings[config.search.model] |= values
    return TrainingConfig.from_dict(settings)


def typed(config: TrainingConfig, values: Values) -> Values:
    """A trial's settings in their own types; a pipeline parameter brings integers as floats."""
    settings = getattr(configured(config, values), config.search.model)
    return {name: getattr(settings, name) for name in values}


def choose(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The result with the highest `objective`; among equals, the earliest `trial`."""
    return max(results, key=lambda result: (result["objective"], -result["trial"]))


def summary(config: TrainingConfig, results: list[dict[str, Any]]) -> dict[str, Any]:
    """The outcome of a search.

    Args:
        config: the search's configuration.
        results: `trial`, `values`, `metric` and `objective` of each trial.

    Returns:
        `model`, `metric`, `seed`, the `trials` in order, and the `best` of them.
    """
    trials = [
        {
            "trial": int(result["trial"]),
            "values": typed(config, result["values"]),
            "objective": float(result["objective"]),
        }
        for result in results
    ]
    return {
        "model": config.search.model,
        "metric": results[0]["metric"],
        "seed": config.seed,
        "trials": sorted(trials, key=lambda trial: trial["trial"]),
        "best": choose(trials),
    }


def best_configuration(config: TrainingConfig, values: Values) -> dict[str, Any]:
    """The configuration with a trial's settings, for `segue run training --config`."""
    settings = configured(config, values).to_dict()
    del settings["search"]  # a training run does not search
    return settings
