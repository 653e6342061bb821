"""Random search over a model's settings (Bergstra and Bengio, JMLR 2012), judged on the validation span.

Early stopping inside a trial looks at the validation loss too. All trials have that advantage alike, so
that it is fair to choose among them by the same span; the test span stays untouched for the evaluation
of what is chosen.
"""

import math
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from models.training_config import TrainingConfig, convert
from segue.errors import InputError

MODELS = ("retrieval", "ranking")
# What is searched if the configuration names nothing.
SPACE: dict[str, list] = {"learning_rate": [3e-4, 1e-2], "dim": [32, 64, 128]}

Values = dict[str, Any]


def plan(config: TrainingConfig, seed: int) -> list[Values]:
    """The settings of each trial, all distinct.

    The first trial is the run's own configuration, so that a search never ends below it. The others are
    drawn: log-uniformly from a range, uniformly from choices.

    Args:
        config: `search` says which model, how many trials, and what is searched.
        seed: of the draws.

    Returns:
        The searched settings by name, one mapping a trial; fewer than asked for if the space has no more.

    Raises:
        InputError: an unknown model or setting, an empty range, a value that the setting does not take.
    """
    if config.search.trials < 1:
        raise InputError(
            f"A search needs at least one trial. Received {config.search.trials}.", "Give search.trials or --trials."
        )
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
    """What is searched, by setting: the ends of a range, or distinct choices, in the setting's own type.

    Raises:
        InputError: an unknown model or setting, an empty range, a value that the setting does not take.
    """
    model = config.search.model
    if model not in MODELS:
        raise InputError(
            f"A search is for one of {', '.join(MODELS)}. Received {model!r}.", "Choose one as search.model."
        )
    own = getattr(config, model)
    known = [f.name for f in fields(own)]
    searched: dict[str, list] = {}
    for name, given in ({n: v for n, v in asdict(config.search.space).items() if v} or SPACE).items():
        path = f"search.space.{name}"
        if name not in known:
            raise InputError(
                f"There is no setting {name!r} of {model} to search ({path}).", f"The settings are: {', '.join(known)}."
            )
        choices = [convert(getattr(own, name), value, path) for value in given]
        if is_range(getattr(own, name), choices) and not 0 < choices[0] < choices[1]:
            raise InputError(
                f"{path} is a log-uniform range and needs 0 < low < high. Received {given}.", "Correct it."
            )
        searched[name] = [value for n, value in enumerate(choices) if value not in choices[:n]]
    return searched


def is_range(default: Any, choices: list) -> bool:
    """Whether a setting's list is a range: two values of a setting that is a float.

    The setting's type decides and not the values', which come as floats out of a pipeline parameter.
    """
    return isinstance(default, float) and len(choices) == 2


def combinations(searched: dict[str, list], own: Values) -> float:
    """How many distinct trials there are, the run's own configuration among them."""
    if any(is_range(own[name], choices) for name, choices in searched.items()):
        return math.inf
    outside = any(own[name] not in choices for name, choices in searched.items())
    return math.prod(len(choices) for choices in searched.values()) + outside


def draw(default: Any, choices: list, rng: np.random.Generator) -> Any:
    """One value of a setting."""
    if is_range(default, choices):
        return float(np.exp(rng.uniform(*np.log(choices))))
    return choices[rng.integers(len(choices))]


def configured(config: TrainingConfig, values: Values) -> TrainingConfig:
    """The run's configuration with a trial's settings.

    Raises:
        InputError: the model's configuration does not take them.
    """
    given = config.to_dict()
    given[config.search.model] |= values
    return TrainingConfig.from_dict(given)


def typed(config: TrainingConfig, values: Values) -> Values:
    """A trial's settings in their own types; pipeline parameters bring integers as floats."""
    settings = getattr(configured(config, values), config.search.model)
    return {name: getattr(settings, name) for name in values}


def choose(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The result with the highest `objective`; of equal ones the earliest `trial`."""
    return max(results, key=lambda result: (result["objective"], -result["trial"]))


def summary(config: TrainingConfig, results: list[dict[str, Any]]) -> dict[str, Any]:
    """What a search found.

    Args:
        config: the search's configuration.
        results: of each trial `trial`, `values`, `metric`, `objective`, `mlflow_run`.

    Returns:
        `model`, `metric`, `seed`, the `trials` in their order and the `best` of them.
    """
    trials = [
        {
            "trial": int(result["trial"]),
            "values": typed(config, result["values"]),
            "objective": float(result["objective"]),
            "mlflow_run": result["mlflow_run"],
        }
        for result in results
    ]
    return {
        "model": config.search.model,
        "metric": results[0]["metric"],
        "seed": config.seed,
        "trials": sorted(trials, key=lambda one: one["trial"]),
        "best": choose(trials),
    }


def best_configuration(config: TrainingConfig, values: Values) -> dict[str, Any]:
    """What `segue run training --config` takes to train with a trial's settings."""
    given = configured(config, values).to_dict()
    del given["search"]  # it is done
    return given
