"""JSON as TF Serving reads and writes it: rapidjson with NaN and Infinity, its error texts, its layout.

The texts and the layout are those of TF Serving's util/json_tensor.cc and of rapidjson.
"""

import base64
import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson

from serving.protocol.status import StatusError, invalid

# An error quotes the JSON it is about; TF Serving quotes all of it, which may be as large as the request.
MAX_QUOTE = 1024
INDENT = "    "
_BOM = b"\xef\xbb\xbf"
_TOO_DEEP = "JSON Parse error: The document is nested too deeply."
# What orjson says -> what rapidjson says of the same fault; the first that matches counts.
_ERRORS = (
    ("empty", "The document is empty."),
    ("content after document", "The document root must not be followed by other values."),
    ("string key", "Missing a name for object member."),
    ("':' after key", "Missing a colon after a name of object member."),
    ("',' or '}'", "Missing a comma or } after an object member."),
    ("',' or ']'", "Missing a comma or ] after an array element."),
    ("decimal point", "Miss fraction part in number."),
    ("exponent", "Miss exponent in number."),
    ("infinity", "Number too big to be stored in double."),
    ("low surrogate", "The surrogate pair in string is invalid."),
    ("high surrogate", "The surrogate pair in string is invalid."),
    ("escaped sequence", "Invalid escape character in string."),
    ("control character", "Invalid encoding in string."),
    ("unexpected end", "Missing a closing quotation mark in string."),
)
_LITERAL = re.compile("-?(NaN|Infinity)")
_TYPES = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number", type(None): "Null"}
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
FLOAT_MAX = float(np.finfo(np.float32).max)


def parse(body: bytes) -> dict[str, Any]:
    """A request's body.

    `NaN` and `Infinity` are numbers, and integers beyond 64 bits are floats, as in rapidjson. Unlike
    there, text must be UTF-8, and the nesting has a limit.

    Raises:
        StatusError: it is not JSON, or not an object.
    """
    body = body.removeprefix(_BOM)
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        document = _parse_not_finite(body, error)
    if not isinstance(document, dict):
        raise malformed(document, "Is not object")
    return document


def quote(value: Any) -> str:
    """A JSON value in an error, in rapidjson's pretty layout and cut at `MAX_QUOTE` characters."""
    if type(value) is float:
        return decimals(np.array([value], np.float32 if abs(value) <= FLOAT_MAX else np.float64))[0]
    parts, size = [], 0
    for part in _pieces(value, "\n"):
        parts.append(part)
        size += len(part)
        if size > MAX_QUOTE:
            return "".join(parts)[:MAX_QUOTE] + "..."
    return "".join(parts)


def is_object(value: Any) -> bool:
    """Whether a value is an object, other than one that stands for bytes."""
    return isinstance(value, dict) and not (value.keys() == {"b64"} and isinstance(value["b64"], str))


def from_base64(value: dict[str, Any]) -> bytes:
    """The bytes that an object stands for.

    Raises:
        StatusError: it stands for none.
    """
    if is_object(value):
        raise malformed(value, "not formatted correctly for base64 data")
    digits = "".join(value["b64"].split()).rstrip("=")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except ValueError:
        raise invalid("Unable to base64 decode") from None


def type_name(value: Any) -> str:
    """What rapidjson calls a value's type."""
    return str(value) if isinstance(value, bool) else _TYPES[type(value)]


def lossy(value: float, name: str) -> StatusError:
    """The error of a number that a dtype, `float` or `double`, does not hold."""
    return invalid(f"Cannot convert JSON value: {quote(value)} to {name} without loss of precision.")


def malformed(value: Any, text: str) -> StatusError:
    """The error of a value, which it quotes."""
    return invalid(f"JSON Value: {quote(value)} {text}")


def decimals(numbers: np.ndarray) -> list[str]:
    """Flat float32 or float64 numbers as JSON: six digits where they round-trip, else as many as always do."""
    values = numbers.tolist()
    texts = _formatted("%g ", values)
    with np.errstate(over="ignore"):
        read_back = np.array(list(map(float, texts)), numbers.dtype)
    longer = np.flatnonzero(read_back != numbers).tolist()
    digits = "%.9g " if numbers.dtype == np.float32 else "%.17g "
    for index, text in zip(longer, _formatted(digits, [values[index] for index in longer]), strict=True):
        texts[index] = text
    return [text if "." in text or "e" in text else _NOT_FINITE.get(text) or f"{text}.0" for text in texts]


def string(text: str) -> str:
    """A JSON string."""
    return json.dumps(text, ensure_ascii=False)


def array(items: Sequence[str], level: int) -> str:
    """A JSON array over several lines; `level` is how many objects and arrays it is in."""
    margin = "\n" + INDENT * level
    return f"[{margin}{INDENT}{f',{margin}{INDENT}'.join(items)}{margin}]" if items else "[]"


def line(items: Sequence[str]) -> str:
    """A JSON array on one line."""
    return f"[{', '.join(items)}]"


def broken_line(items: Sequence[str], level: int) -> str:
    """A JSON array as TF Serving writes its outermost one: its items on one line, its end on the next."""
    return f"[{', '.join(items)}\n{INDENT * level}]" if items else "[]"


def fields(items: Sequence[tuple[str, str]], level: int = 0) -> str:
    """A JSON object over several lines from names and finished values."""
    margin = "\n" + INDENT * level
    return f"{{{','.join(f'{margin}{INDENT}{string(name)}: {value}' for name, value in items)}{margin}}}"


def _formatted(form: str, values: Sequence[float]) -> list[str]:
    """Numbers as text; one format for all of them at once is the fastest."""
    return (form * len(values) % tuple(values)).split()


def _parse_not_finite(body: bytes, error: orjson.JSONDecodeError) -> Any:
    """A document that orjson refuses, for it knows no NaN; or the fault that it has."""
    try:
        text = body.decode()
    except UnicodeDecodeError as encoding:
        raise _fault("Invalid encoding in string.", encoding.start) from None
    if not any(_LITERAL.match(text, at) for at in (error.pos, error.pos - 1) if at >= 0):
        raise _fault_of(body, len(text[: error.pos].encode()), error.msg)
    try:
        document = json.loads(text, parse_int=_integer)
        orjson.dumps(document)  # it refuses halves of surrogate pairs, which json lets through
    except RecursionError:
        raise invalid(_TOO_DEEP) from None
    except json.JSONDecodeError as second:
        raise _fault("Invalid value.", len(text[: second.pos].encode())) from None
    except orjson.JSONEncodeError as second:
        deep = "ecursion" in str(second)
        raise invalid(_TOO_DEEP if deep else "JSON Parse error: The surrogate pair in string is invalid.") from None
    return document


def _integer(digits: str) -> int | float:
    """An integer, or the float that rapidjson makes of one beyond 64 bits."""
    with contextlib.suppress(ValueError):  # Python refuses thousands of digits
        value = int(digits)
        if -(2**63) <= value < 2**64:
            return value
    return float(digits)


def _fault_of(body: bytes, offset: int, message: str) -> StatusError:
    """The fault that orjson has found, as rapidjson words it."""
    if "depth limit" in message:
        return invalid(_TOO_DEEP)
    if "unexpected end" in message:
        # What is missing? A sign that fits nowhere makes orjson say it, except within a string.
        message = _message(body + b"@")
    if "trailing comma" in message:
        closing = body[offset:].lstrip(b", \t\r\n")[:1]
        return _fault("Missing a name for object member." if closing == b"}" else "Invalid value.", offset)
    if "escaped sequence" in message and body[offset : offset + 2] == b"\\u":
        return _fault("Incorrect hex digit after \\u escape in string.", offset)
    return _fault(next((text for sign, text in _ERRORS if sign in message), "Invalid value."), offset)


def _message(body: bytes) -> str:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return error.msg
    return ""


def _fault(text: str, offset: int) -> StatusError:
    return invalid(f"JSON Parse error: {text} at offset: {offset}")


def _pieces(value: Any, margin: str) -> Iterator[str]:
    """The text of a value bit by bit, so that who has enough of it can stop."""
    if isinstance(value, dict):
        items = ((f"{string(name)}: ", item) for name, item in value.items())
    elif isinstance(value, list):
        items = (("", item) for item in value)
    else:
        yield json.dumps(value, ensure_ascii=False)
        return
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    yield opening
    for index, (name, item) in enumerate(items):
        yield f"{',' if index else ''}{margin}{INDENT}{name}"
        yield from _pieces(item, margin + INDENT)
    yield margin + closing if value else closing
