"""JSON text to Python values and back, for TF Serving's REST API.

orjson does the work. The standard library's `json` reads and writes the values that TF Serving allows and orjson does
not: the numbers NaN and Infinity, and strings that are not valid UTF-8. It also prints the value that an error quotes.
"""

import base64
import contextlib
import json
from typing import Any

import orjson

from serving.protocol.status import StatusError, invalid

# An error quotes the JSON value at fault, which may be as large as the request: the quote is cut at so many characters.
MAX_QUOTE = 1024
# Finite numbers from here on become infinite in float32: halfway between its largest number and the next power of 2.
FLOAT32_OVERFLOW = 2.0**128 - 2.0**103
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TYPE_NAMES = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number", type(None): "Null"}
_QUOTER = json.JSONEncoder(ensure_ascii=False, indent=4)


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in a request's body.

    As in TF Serving, `NaN`, `Infinity` and `-Infinity` are numbers, and integers beyond 64 bits become floats. Other
    than there, the text must be UTF-8, and lists and objects nest at most 1,024 deep (254 deep beside a `NaN`).

    Raises:
        StatusError: the body is not JSON, or not an object (INVALID_ARGUMENT).
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"NaN" not in body and b"Infinity" not in body:
            raise invalid(f"JSON Parse error: {error}") from None
        document = _parse_non_finite(body)
    if not isinstance(document, dict):
        raise malformed(document, "Is not object")
    return document


def dumps(document: Any) -> bytes:
    """A document as JSON.

    Args:
        document: dicts, lists, strings, and numbers that may be numpy's, alone or in arrays. It holds no None.
            Bytes that are not UTF-8 go out unchanged if they came into a string by `errors="surrogateescape"`.

    Returns:
        The JSON text. A float32 has as many digits as a float32 needs to be read back exactly.
    """
    with contextlib.suppress(orjson.JSONEncodeError):  # orjson takes no string with escaped bytes
        text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
        # orjson writes NaN and Infinity as null, and nothing else in an answer is null.
        if b"null" not in text:
            return text
    plain = json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=lambda value: value.tolist())
    return plain.encode(errors="surrogateescape")


def quote(value: Any) -> str:
    """A JSON value as the text of an error shows it, cut at `MAX_QUOTE` characters."""
    text = ""
    for piece in _QUOTER.iterencode(value):  # piece by piece: a large value is not printed to its end
        text += piece
        if len(text) > MAX_QUOTE:
            return f"{text[:MAX_QUOTE]}..."
    return text


def is_object(value: Any) -> bool:
    """Whether a value is a JSON object and does not stand for bytes, as `{"b64": "aGk="}` does."""
    return isinstance(value, dict) and not (value.keys() == {"b64"} and isinstance(value["b64"], str))


def from_base64(value: dict[str, Any]) -> bytes:
    """The bytes that an object such as `{"b64": "aGk="}` stands for; white space and padding are optional.

    Raises:
        StatusError: the object has other keys, or its text is not base64.
    """
    if is_object(value):
        raise malformed(value, "not formatted correctly for base64 data")
    digits = "".join(value["b64"].split()).rstrip("=")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except ValueError:
        raise invalid("Unable to base64 decode") from None


def type_name(value: Any) -> str:
    """The name of a value's JSON type, as TF Serving's errors give it, e.g. `Array` or `True`."""
    return str(value) if isinstance(value, bool) else _TYPE_NAMES[type(value)]


def lossy_text(value: float, dtype: str) -> str:
    """The error text for a number that `float` or `double` does not hold."""
    return f"Cannot convert JSON value: {quote(value)} to {dtype} without loss of precision."


def malformed(value: Any, text: str) -> StatusError:
    """The error of a request whose JSON contains a `value` that breaks a rule; `text` says how."""
    return invalid(f"JSON Value: {quote(value)} {text}")


def _parse_non_finite(body: bytes) -> Any:
    """A document that orjson refuses and that may do so for a NaN or Infinity, read by the standard library."""
    try:
        # orjson reads the integers, so that those beyond 64 bits become floats here too.
        document = json.loads(body.decode(), parse_int=orjson.loads)
        orjson.dumps(document)  # refuses halves of surrogate pairs, which json.loads accepts
    except RecursionError:
        raise invalid("JSON Parse error: The document is nested too deeply.") from None
    except (ValueError, orjson.JSONEncodeError) as error:
        raise invalid(f"JSON Parse error: {error}") from None
    return document
