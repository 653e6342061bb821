"""The rules by which the reports of monitoring windows lead to a retraining: one readable file."""

from dataclasses import field
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from monitoring.report import Kind
from segue.yaml_settings import AtLeast1, NotNegative, Positive, build, read_settings

MOST_DAYS = 36_500  # a century: never, and far within what a date can be


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Rules:
    """When a retraining is decided.

    Args:
        windows: By kind of check, the windows in a row in which a check fails before it asks for a retraining. Kinds
            that are left out never ask.
        schedule_days: A training starts at the latest so many days after the last one.
        cooldown_days: So many days after checks asked for a training, they ask for no other: the next model needs data
            of the change. Doubled by each training in a row that was not pushed, six times at most.
        a_week: Trainings in seven days, whoever started them.
        refusals: Trainings in a row that were not pushed, after which a person is called. The schedule goes on.
    """

    windows: dict[Kind, Annotated[AtLeast1, Field(le=MOST_DAYS)]] = field(
        default_factory=lambda: {"cause": 2, "drift": 2, "quality": 2}
    )
    schedule_days: Annotated[Positive, Field(le=MOST_DAYS)] = 14.0
    cooldown_days: Annotated[NotNegative, Field(le=MOST_DAYS)] = 7.0
    a_week: AtLeast1 = 3
    refusals: AtLeast1 = 3


def read(path: Path) -> Rules:
    """Return the rules in a YAML file.

    Raises:
        InputError: The file cannot be read, or a rule is unknown or out of range.
    """
    return build(Rules, read_settings(path), "")
