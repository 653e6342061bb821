"""Settings from a YAML file: number types that pydantic checks strictly, and errors that name the path in the file."""

import re
import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from segue.errors import InputError
from segue.near_names import unknown_name

Settings = TypeVar("Settings")


def whole(value: Any) -> Any:
    """Turn 64.0 into 64: a pipeline parameter of KFP holds every number as a double."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# Strict: text and true or false are not numbers. An integer is a number, too.
Whole = Annotated[int, Field(strict=True), BeforeValidator(whole)]
AtLeast0 = Annotated[Whole, Field(ge=0)]
AtLeast1 = Annotated[Whole, Field(ge=1)]
# Far within float32, in which models compute: a number beyond its 3e38 would become infinite there.
Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e9, le=1e9)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Change = Annotated[Number, Field(ge=-1, le=1)]


def require_known(names: Iterable[str], allowed: Sequence[str]) -> None:
    """Raise the error of an unknown setting for the first name that is not among the allowed names.

    For validators of mappings whose names are settings too, such as weights by head.
    """
    for name in names:
        if name not in allowed:
            raise PydanticCustomError("unknown_name", "unknown name", {"name": name, "allowed": allowed})


def build(kind: type[Settings], values: Any, where: str) -> Settings:
    """Validate a mapping as a pydantic dataclass that forbids extra names.

    Args:
        kind: the class.
        values: settings by name, nested as the class is.
        where: path of the mapping in the YAML, for errors; "" for the whole file.

    Raises:
        InputError: an unknown name, or a value of the wrong type or out of range.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as refused:
        first, *others = refused.errors()
        error = explain(first, kind, where)
        if others:
            also = ", ".join(dict.fromkeys(yaml_path(other["loc"], where) for other in others))
            error = InputError(error.headline, f"{error.fix} Also wrong: {also}.")
        raise error from None


def explain(error: ErrorDetails, kind: type, where: str) -> InputError:
    """One of pydantic's errors with the path in the YAML, the rule, the value that came and the fix."""
    loc, context = error["loc"], error.get("ctx", {})
    path, received = yaml_path(loc, where), reprlib.repr(error["input"])
    if error["type"] == "unknown_name":
        return unknown_name("setting", str(context["name"]), context["allowed"], f"{path}.")
    if error["type"] in ("unexpected_keyword_argument", "invalid_key"):
        section = yaml_path(loc[:-1], where)
        names = [f.name for f in fields(class_at(kind, loc[:-1]))]
        return unknown_name("setting", str(loc[-1]), names, section and f"{section}.")
    if error["type"] == "dataclass_type":
        subject = path or "The configuration"
        return InputError(
            f"{subject} must be a mapping of settings. Received {received}.",
            f"Write {path or 'the settings'} as `name: value` lines.",
        )
    if loc[-1] == "[key]":
        names = context.get("expected", "text")
        return InputError(f"The names in {yaml_path(loc[:-2], where)} are {names}. Received {received}.", "Correct it.")
    rule = re.sub(r"^\w+ should ", "", error["msg"])
    fix = f"Correct {path} in the configuration."
    if isinstance(error["input"], str) and re.fullmatch(r"[-+]?(?!0\d)[.\d]+([eE][-+]?\d+)?", error["input"]):
        fix = f"Write {path} without quotes."
    return InputError(f"{path} must {rule}. Received {received}.", fix)


def class_at(kind: Any, loc: tuple[int | str, ...]) -> Any:
    """The settings class at a path below another."""
    for name in loc:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        # the values of a mapping, or the parts of a list
        kind = (
            {f.name: f.type for f in fields(kind)}[str(name)]
            if is_dataclass(kind)
            else get_args(kind)[-1 if get_origin(kind) is dict else 0]
        )
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def yaml_path(loc: tuple[int | str, ...], where: str) -> str:
    """A path in the YAML: `ranking.epochs`, `split[1]`."""
    path = where
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


class SettingsLoader(yaml.SafeLoader):
    """PyYAML with the numbers and booleans of YAML 1.2, and without repeated names, of which PyYAML keeps the last.

    Under YAML 1.1, which PyYAML follows, `1e-3` is text, `0100` is 64, `1:30` is 90, and the country `NO` is false.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Refuse a mapping that has a name twice."""
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(problem=f"{name!r} is set twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Build whole values only, so that PyYAML refuses an alias that stands within its own anchor."""
        return super().construct_object(node, deep=True)


SCALARS = {  # the core schema of YAML 1.2, chapter 10.3.2, with decimal integers only
    "int": r"[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?([0-9]*\.[0-9]+|[0-9]+\.|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "bool": "true|True|TRUE|false|False|FALSE",
}
SettingsLoader.yaml_implicit_resolvers = {
    first: [resolver for resolver in resolvers if resolver[0].rpartition(":")[2] not in SCALARS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for tag, pattern in SCALARS.items():
    SettingsLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{tag}", re.compile(f"^({pattern})$"), list("tTfF" if tag == "bool" else "-+.0123456789")
    )


def read_settings(path: Path) -> Any:
    """The values in a YAML file.

    Raises:
        InputError: the file is missing, empty or not YAML.
    """
    try:
        values = yaml.load(Path(path).read_text(encoding="utf-8"), SettingsLoader)
    # ValueError: not UTF-8, or an impossible date; RecursionError: brackets within brackets without an end
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())  # PyYAML's errors have several lines
        raise InputError(f"The configuration {path} cannot be read: {reason}.", "Give a YAML file.") from None
    if values is None:
        raise InputError(f"The configuration {path} is empty.", "Write settings into it, or leave the option out.")
    return values
