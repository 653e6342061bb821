"""What arms of experiments change on Home: the rules, the exploration and the layout policy of one page."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from surfaces.home.layout import LayoutPolicy
from surfaces.home.rules import HomeRules
from surfaces.request import Exploration

RULES = tuple(field.name for field in fields(HomeRules))


def home_of(
    policy: LayoutPolicy, rules: HomeRules, exploration: Exploration, parameters: Mapping[str, Any]
) -> tuple[LayoutPolicy, HomeRules, Exploration]:
    """Policy, rules and exploration of a page, with what arms set.

    Args:
        policy, rules, exploration: without experiments.
        parameters: the arms' values, by the parameter's name on Home (`rows`, `weights.popular`).

    Raises:
        InputError: a value lies outside its range.
    """
    if not parameters:
        return policy, rules, exploration
    layout, weights = section(parameters, "layout"), section(parameters, "weights")
    if not layout.pop("learned", True):
        policy = LayoutPolicy()
    if layout:
        policy = replace(policy, **layout)
    return (
        policy.raised(weights) if weights else policy,
        replace(rules, **{name: value for name, value in parameters.items() if name in RULES}),
        replace(exploration, **section(parameters, "exploration")),
    )


def section(parameters: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The parameters below a name: `{"temperature": 1.0}` of `layout` for `layout.temperature`."""
    return {key.removeprefix(f"{name}."): value for key, value in parameters.items() if key.startswith(f"{name}.")}
