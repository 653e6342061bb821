"""The parameters that an arm of an experiment may set, checked before the experiment starts."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from experiments.definition import Definition
from segue.errors import InputError
from segue.near_names import check_known
from segue.yaml_settings import Number, Whole
from surfaces.arms.assigned import ATTRIBUTES, OF_MODELS, choices
from surfaces.filters.heard import heard
from surfaces.home.arms import home_of
from surfaces.home.layout import LayoutPolicy
from surfaces.home.rules import HomeRules
from surfaces.home.shelves import KINDS
from surfaces.request import Exploration
from surfaces.sources.every import SOURCES
from surfaces.versions import MODELS, RETRIEVAL, SEQUENCE


def label_or_number(value: Any) -> Any:
    """Refuse what is neither a label nor the number of a version."""
    if (isinstance(value, str) and value) or (type(value) is int and value > 0):
        return value
    raise PydanticCustomError("version", "Input should be a label such as `canary`, or the number of a version")


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
    **{f"{OF_MODELS}{model}": Annotated[int | str, BeforeValidator(label_or_number)] for model in MODELS},
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


def check_versions(definition: Definition, store: Path) -> None:
    """Check that a model store has the versions that an experiment's arms choose.

    Args:
        definition: the experiment.
        store: the model store.

    Raises:
        InputError: a model has no such label, or the version of a number has no label. The server keeps only versions
            with a label loaded.
    """
    from serving.store.model_store import labels

    labelled = labels(store)
    for model, choice in choices(definition):
        versions = labelled.get(model, {})
        if isinstance(choice, str):
            check_known(f"label of {model}", choice, versions)
        elif choice not in versions.values():
            raise InputError(
                f"An arm chooses a version with a label, because only these stay loaded. {model} {choice} has none.",
                f"Label it: `segue models promote {choice} --label NAME`.",
            )


def check_type(where: str, kind: Any, value: Any) -> None:
    """Raise InputError if a value has another type than its parameter."""
    try:
        TypeAdapter(kind).validate_python(value, strict=True)
    except ValidationError as refused:
        rule = refused.errors()[0]["msg"].removeprefix("Input should ")
        raise InputError(f"{where} must {rule}. Received {value!r}.", f"Correct {where} in the definition.") from None
