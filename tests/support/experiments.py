"""A definition of an experiment in tests, with parts replaced."""

from typing import Any


def definition(**parts: Any) -> dict[str, Any]:
    """Return the settings of a plain experiment, with some of them replaced."""
    plain = {
        "name": "more-new",
        "hypothesis": "New releases further up are played more.",
        "owner": "home",
        "layer": {"name": "home"},
        "arms": [
            {"name": "control", "share": 0.5},
            {"name": "treatment", "share": 0.5, "parameters": {"home.weights.popular": 2.0}},
        ],
        "metrics": {"success": {"play_rate": 0.02}, "guardrails": {"skip_rate": 0.02}},
        "plan": {"units": 2000},
    }
    return {**plain, **parts}
