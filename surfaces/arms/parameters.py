"""The parameters that an arm of an experiment may set, checked before the experiment starts."""

from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from experiments.definition import Definition
from segue.errors import InputError
from segue.near_names import check_known
from segue.yaml_settings import Number, Whole
from surfaces.arms.assigned import ATTRIBUTES
from surfaces.filters.heard import heard
from surfaces.home.arms import home_of
from surfaces.home.layout import LayoutPolicy
from surfaces.home.rules import HomeRules
from surfaces.home.shelves import KINDS
from surfaces.request import Exploration
from surfaces.sources.every import SOURCES
from surfaces.versions import MODELS, RETRIEVAL, SEQUENCE

KNOWN: dict[str, Any] = {
    **{f"home.{field.name}": Whole if isinstance(field.default, int) else Number for field in fields(HomeRules)},
    **{f"home.exploration.{field.name}": Number for field in fields(Exploration)},
    "home.layout.learned": bool,
    "home.layout.temperature": Number,
    "home.layout.optimism": Number,
    **{f"home.weights.{kind}": Number for kind in KINDS},
    "home.off": list[str],
    "now_playing.calibrated": bool,
    "now_playing.off": list[str],
}
# The other filters keep rights and wishes, which no arm may set aside.
SWITCHES = {
    "home.off": {*MODELS, *(source.name for source in SOURCES), heard.name},
    "now_playing.off": {RETRIEVAL, SEQUENCE},
}


def check_arms(definition: Definition) -> None:
    """Check that the surfaces know what an experiment's arms set, and who may be eligible.

    Raises:
        InputError: a parameter or an attribute is not known, or a value breaks the parameter's rule.
    """
    for name in definition.eligible:
        check_known("attribute", name, ATTRIBUTES)
    for number, arm in enumerate(definition.arms):
        home = {}
        for name, value in arm.parameters.items():
            check_known("parameter", name, KNOWN)
            where = f"arms[{number}].parameters.{name}"
            check_type(where, KNOWN[name], value)
            for switched in value if name in SWITCHES else ():
                check_known(f"part of {name}", switched, SWITCHES[name])
            if name.startswith("home."):
                home[name.removeprefix("home.")] = value
        try:
            home_of(LayoutPolicy(), HomeRules(), Exploration(), home)
        except InputError as error:
            raise InputError(f"arms[{number}], {arm.name}: {error.headline}", error.fix) from None


def check_type(where: str, kind: Any, value: Any) -> None:
    """Raise InputError if a value has another type than its parameter."""
    try:
        TypeAdapter(kind).validate_python(value, strict=True)
    except ValidationError as refused:
        rule = refused.errors()[0]["msg"].removeprefix("Input should ")
        raise InputError(f"{where} must {rule}. Received {value!r}.", f"Correct {where} in the definition.") from None
