"""How exporters write values, names, encodings and faults, for the generated logs of `tests.support.any_table`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

ACTIONS = ("impression", "play", "skip", "like", "add")
BLANK = " \t\n\r\v\f"
FIRST, LATEST = datetime(1990, 1, 2, tzinfo=UTC), datetime(2024, 12, 31, tzinfo=UTC)
IMPORT, REFUSE, EITHER = "import", "refuse", "either"

# How an id is written: `{name: (number -> value in the file, number -> id)}`. Text files hold `str(value)`.
IDS: dict[str, tuple[Callable[[int], Any], Callable[[int], str]]] = {
    "text": (lambda n: f"u{n}", lambda n: f"u{n}"),
    "zeros": (lambda n: f"{n:04}", lambda n: f"{n:04}"),
    "integers": (lambda n: n * 3_000_000_000, lambda n: str(n * 3_000_000_000)),
    "floats": (float, str),
    "decimals": (lambda n: Decimal(f"{n}.00"), str),
    "written floats": (lambda n: f"{n}.0", str),
    "padded": (lambda n: f" u{n}\t ", lambda n: f"u{n}"),
    "brackets": (lambda n: f"[/{n}] {{x}}\x1b[31m", lambda n: f"[/{n}] {{x}}\x1b[31m"),
    "lines": (lambda n: f'a"{n}"\r\nb;,|\tc', lambda n: f'a"{n}"\r\nb;,|\tc'),
    "accents": (lambda n: f"Bjørn é{n}", lambda n: f"Bjørn é{n}"),
    "UUIDs": (lambda n: UUID(int=n << 90), lambda n: str(UUID(int=n << 90))),
}

MISSING = {"nan", "none", "<na>", "nat", "null", "\\n", "undefined"}  # words for a missing value
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6).filter(
    lambda text: text.strip() and text.strip().lower() not in MISSING
)

# How a time is written, and the number of microseconds that it is written to.
SECOND, MINUTE, DAY = 1_000_000, 60_000_000, 86_400_000_000
TIMES: dict[str, tuple[Callable[[datetime], Any], int]] = {
    "ISO": (lambda t: t.isoformat(), 1),
    "no zone": (lambda t: f"{t:%Y-%m-%d %H:%M:%S}", SECOND),
    "Z": (lambda t: f"{t:%Y-%m-%dT%H:%M:%SZ}", SECOND),
    "offset": (lambda t: f"{t + timedelta(hours=5, minutes=30):%Y-%m-%dT%H:%M:%S.%f}+0530", 1),
    "date": (lambda t: f"{t:%Y-%m-%d}", DAY),
    "BigQuery": (lambda t: f"{t:%Y-%m-%d %H:%M:%S.%f} UTC", 1),
    "Snowflake": (lambda t: f"{t:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " +0000", 1_000),
    "Java": (lambda t: f"{t:%Y-%m-%dT%H:%M:%S}Z[UTC]", SECOND),
    "C": (lambda t: f"{t:%a %b %d %H:%M:%S %Y}", SECOND),
    "mail": (lambda t: f"{t:%a, %d %b %Y %H:%M:%S} GMT", SECOND),
    "English": (lambda t: f"{t:%b %d, %Y %I:%M %p}", MINUTE),
    "slashes": (lambda t: f"{t:%Y/%m/%d %H:%M}", MINUTE),
    "German": (lambda t: f"{t:%d.%m.%Y %H:%M:%S}", SECOND),
    "American": (lambda t: f"{t:%m/%d/%Y %I:%M:%S %p}", SECOND),
    "unix": (lambda t: round(t.timestamp()), SECOND),
    "unix with fractions": (lambda t: round(t.timestamp()) + 0.5, SECOND),
    "milliseconds": (lambda t: round(t.timestamp()) * 1000 + 7, SECOND),
    "timestamp": (lambda t: t, 1),
    "timestamp without zone": (lambda t: t.replace(tzinfo=None), 1),
}
UNORDERED = ("German", "American")  # a column whose days are all below 13 does not show the order of day and month

# Further columns: `{name: values}`. They are kept as they are.
NAN, INFINITY = float("nan"), float("inf")
EXTRAS: dict[str, tuple[Any, ...]] = {
    "score": (0.5, NAN, INFINITY, -1e300, None),
    "count": (1, -(2**63), 2**63 - 1, None),
    "flag": (True, False, None),
    "mood": ("calm", "[bold]", "=1+1", "\x1b[0m", 'a "b"', "", None),
    "tags": (["a", None], [], None),
    "bag": ("['a', 'b']", "{a", "a|b", None),
    "detail": ({"a": NAN}, {"a": 1.0}, None),
    "bytes": (b"\xff\x00", b"", None),
    "price": (Decimal("1.25"), Decimal("-9.99"), None),
    "seen": (datetime(1, 1, 1), datetime(9999, 12, 31), None),
}
NAMES = ("{}", "User {}", "{}_ID", " {}", "né {}", "{}(1)", "[{}]", "日本{}")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1")
SEPARATORS = (",", ";", "\t", "|")

# Faults, each of which ends the import.
FAULTS = (
    "no user", "blank item", "blank event", "no time", "not a time", "before 1970", "after 2100", "same event twice",
    "fraction as id", "list as id", "list as action", "no column", "two columns", "short row", "long row",
    "open quote", "zero byte", "cut file", "JSON lines", "empty", "header alone", "one listener", "rating as label",
)  # fmt: skip
OF_TEXT = ("short row", "long row", "open quote", "zero byte", "two columns")
OF_PARQUET = ("list as id", "list as action")
