"""Logs of any kind for the property test of the importer: files as exporters write them, and the rows that they hold.

What a log should become is known from how it was made, and from nothing in the importer.
"""

import gzip
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from tests.support import written_values as written


@dataclass
class Log:
    """A log in files.

    Args:
        files: `{path below the folder: content}`.
        rows: Rows of each file.
        mapping: What `--map` says.
        encoding: What `--encoding` says.
        kept: The events that an import keeps, `(event_id, user_id, item_id, ts, action, query)`; no event_id if it is
            made, and `ts` in microseconds.
        quarantined: Number of the rows that break a rule.
        fate: Whether an import reads the log, refuses it, or may do either.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    mapping: dict[str, str] = field(default_factory=dict)
    encoding: str | None = None
    kept: Counter = field(default_factory=Counter)
    quarantined: int = 0
    fate: str = written.IMPORT


@st.composite
def logs(draw) -> Log:
    """Draw a log."""
    log = Log()
    fault = draw(st.sampled_from(written.FAULTS)) if draw(st.integers(0, 3)) == 3 else None
    words = draw(st.lists(written.TEXTS, min_size=7, max_size=7, unique_by=str.strip))
    any_text = (words.__getitem__, lambda n: words[n].strip(written.BLANK))
    kinds = st.one_of(st.just(any_text), st.sampled_from(list(written.IDS.values())))
    writing = {key: draw(kinds) for key in ("user_id", "item_id")}
    time_kind = draw(st.sampled_from(sorted(written.TIMES)))
    with_ids = fault in ("blank event", "same event twice") or draw(st.booleans())
    rows = draw_rows(draw, log, writing, time_kind, with_ids, words)
    if time_kind in written.UNORDERED:
        log.fate = written.EITHER
    if fault:
        log.fate = written.REFUSE
        break_rows(fault, rows)
    names = draw_names(draw, log) if fault != "no column" else {}
    parts = draw_parts(draw, rows, names, fault)
    formats: set[bool] = set()
    for number, (folder, part) in enumerate(parts):
        columns = [names.get(key, key) for key in part[0]]
        cells = [] if fault == "header alone" else [list(row.values()) for row in part]
        is_text = fault in written.OF_TEXT or (fault not in written.OF_PARQUET and draw(st.booleans()))
        if fault == "JSON lines":
            records = (dict(zip(columns, row, strict=True)) for row in cells)
            content, ending = "\n".join(json.dumps(record, default=str) for record in records).encode(), "jsonl"
        elif is_text:
            content, ending = draw_text(draw, log, columns, cells, fault), draw(st.sampled_from(["csv", "CSV", "tsv"]))
        else:
            content, ending = draw_parquet(draw, columns, cells), draw(st.sampled_from(["parquet", "pq", ""]))
        if fault == "empty":
            content = draw(st.sampled_from([b"", b"\n", b"\xef\xbb\xbf", b" \r\n"]))
        compression = draw(st.sampled_from(["", "", ".gz", ".zst"]))
        if fault == "cut file":
            content = gzip.compress(content)[:-9]
        elif compression == ".gz":
            content = gzip.compress(content)
        elif compression == ".zst":
            content = pa.Codec("zstd").compress(content, asbytes=True)
        path = "/".join([*folder, f"part {number}{'.' if ending else ''}{ending}{compression if ending else ''}"])
        log.files[path], log.rows[path] = content, len(cells)
        formats.add(is_text)
    if len(formats) > 1 and {"tags", "detail", "bytes"} & set(rows[0]):
        log.fate = written.EITHER if log.fate == written.IMPORT else log.fate  # a list in one file and text in another
    return log


def draw_rows(draw, log: Log, writing, time_kind: str, with_ids: bool, words: list[str]) -> list[dict[str, Any]]:
    """Draw the rows as the files hold them, and note in the log what they become."""
    write_time, resolution = written.TIMES[time_kind]
    extras = draw(st.lists(st.sampled_from(sorted(written.EXTRAS)), max_size=3, unique=True))
    optional = draw(
        st.sets(st.sampled_from(["ms_played", "position", "propensity", "surface", "session_id", "label_like"]))
    )
    first = written.FIRST + timedelta(
        microseconds=draw(
            st.integers(0, (written.LATEST - written.FIRST) // timedelta(microseconds=1) - 20 * written.DAY)
        )
    )
    rows = []
    for number in range(draw(st.integers(3, 9))):
        user = number if number < 2 else draw(st.integers(0, 4))
        item = draw(st.integers(0, 5))
        moment = first + timedelta(days=draw(st.sampled_from([0, 0, 1, 15])), seconds=draw(st.integers(0, 86_399)))
        action = "play" if number < 2 else draw(st.sampled_from([*written.ACTIONS, "PLAY", " Skip ", "heart", None]))
        row: dict[str, Any] = {"event_id": f"e{number}"} if with_ids else {}
        row |= {key: writing[key][0](n + 1) for key, n in (("user_id", user), ("item_id", item))}
        row |= {"ts": write_time(moment), "action": action}
        broken = (action or "").strip().lower() not in written.ACTIONS
        for name in sorted(optional):
            good, bad = {
                "ms_played": ((0, 2000, None), (-1,)),
                "position": ((1, 7, None), (-2,)),
                "propensity": ((0.5, 1.0, 0.001, None), (0.0, 1.5)),
                "surface": (("home", "Search", None), ("kitchen",)),
                "session_id": (("s1", None), ()),
                "label_like": ((1, 0, None), ()),
            }[name]
            value = draw(st.sampled_from(good if number < 2 else good + bad))
            row[name] = value
            broken |= value in bad
        row |= {name: draw(st.sampled_from(written.EXTRAS[name])) for name in extras}
        row |= {"query": draw(st.sampled_from([*words, None]))} if "session_id" in optional else {}
        rows.append(row)
        if broken:
            log.quarantined += 1
            continue
        # The half second of a unix time with fractions, and the milliseconds, are known from how they are written.
        beyond = {"unix with fractions": 500_000, "milliseconds": 7_000}.get(time_kind, 0)
        micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        whole = (
            round(moment.timestamp()) * written.SECOND
            if "unix" in time_kind or beyond
            else micros - micros % resolution
        )
        ids = [writing[key][1](n + 1) for key, n in (("user_id", user), ("item_id", item))]
        log.kept[row.get("event_id"), *ids, whole + beyond, action.strip().lower(), row.get("query")] += 1
    return draw(st.permutations(rows))


def break_rows(fault: str, rows: list[dict[str, Any]]) -> None:
    """Put a fault into the rows, if it is one of the rows."""
    values = {
        "no user": ("user_id", None), "blank item": ("item_id", "  "), "blank event": ("event_id", ""),
        "no time": ("ts", None), "not a time": ("ts", "soon"), "before 1970": ("ts", "1969-07-20"),
        "after 2100": ("ts", "2101-01-01"), "fraction as id": ("user_id", 1.5), "list as id": ("user_id", ["a"]),
        "list as action": ("action", ["play"]), "rating as label": ("label_like", 5), "one listener": ("user_id", "u"),
    }  # fmt: skip
    if fault in values:
        key, value = values[fault]
        whole = fault in ("fraction as id", "list as id", "list as action", "one listener", "rating as label")
        for row in rows if whole else rows[-1:]:
            row[key] = value
        if fault == "rating as label":
            return
    if fault == "same event twice":
        rows[-1]["event_id"] = rows[0]["event_id"]
    if fault == "no column":
        for row in rows:
            del row["item_id"]


def draw_names(draw, log: Log) -> dict[str, str]:
    """Draw other names for some columns, and the mapping that says so."""
    names = {}
    for key in sorted(draw(st.sets(st.sampled_from(["user_id", "item_id", "ts", "action"])))):
        names[key] = draw(st.sampled_from(written.NAMES)).format(key[0])
        log.mapping[key] = names[key].strip()
    return names


def draw_parts(draw, rows, names, fault) -> list[tuple[tuple[str, ...], list[dict[str, Any]]]]:
    """Draw how the rows are divided into files: at random, or by a column whose values are in the names of folders."""
    layout = draw(st.sampled_from(["one", "one", "several", "action", "market"]))
    if layout == "one" or (layout == "action" and fault):
        return [((), rows)]
    parts: dict[tuple[str, ...], list] = {}
    for row in rows:
        if layout == "action":
            value = "__HIVE_DEFAULT_PARTITION__" if row["action"] is None else quote(row["action"], safe="")
            name = quote(names.get("action", "action").strip(), safe="")
            parts.setdefault((f"{name}={value}",), []).append({k: v for k, v in row.items() if k != "action"})
        else:
            place = draw(st.integers(0, 2))
            parts.setdefault((f"{'market=' if layout == 'market' else 'x'}{place}",), []).append(row)
    return list(parts.items())


def draw_parquet(draw, columns: list[str], rows: list[list[Any]]) -> bytes:
    """Return a table as Parquet."""
    arrays = []
    for cells in zip(*rows, strict=True) if rows else [()] * len(columns):
        try:
            array = pa.array(cells)
        except (pa.ArrowException, TypeError):  # values of several types
            array = pa.array([None if cell is None else str(cell) for cell in cells], pa.string())
        if array.type == pa.string() and draw(st.booleans()):
            array = (
                array.cast(draw(st.sampled_from([pa.large_string(), pa.binary()])))
                if draw(st.booleans())
                else array.dictionary_encode()
            )
        arrays.append(array)
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table(arrays, columns),
        sink,
        compression=draw(st.sampled_from(["none", "snappy", "zstd"])),
        row_group_size=draw(st.sampled_from([1, 2, 1000])),
        use_deprecated_int96_timestamps=draw(st.booleans()),
    )
    return sink.getvalue().to_pybytes()


def draw_text(draw, log: Log, columns: list[str], rows: list[list[Any]], fault: str | None) -> bytes:
    """Return a table as delimited text."""
    separator, end = draw(st.sampled_from(written.SEPARATORS)), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    comma, quote_all = draw(st.booleans()), draw(st.booleans())

    def cell(value: Any, column: str) -> str:
        text = "" if value is None else json.dumps(value) if isinstance(value, dict) else str(value)
        if column == "propensity" and comma:
            text = text.replace(".", ",")
        quoted = quote_all or any(sign in text for sign in (separator, '"', "\r", "\n"))
        return '"' + text.replace('"', '""') + '"' if quoted else text

    if fault == "two columns":
        columns, rows = [*columns, columns[0]], [[*row, row[0]] for row in rows]
    lines = [separator.join(cell(name, "") for name in columns)]
    lines += [separator.join(cell(*pair) for pair in zip(row, columns, strict=True)) for row in rows]
    place = draw(st.integers(1, len(lines) - 1)) if rows else 0
    if fault == "short row":
        lines[place] = "x"
    elif fault == "long row":
        lines[place] += separator + "x"
    elif fault == "open quote":
        lines[place] = '"x' + lines[place].replace('"', "")
    elif fault == "zero byte":
        lines[place] += "\0"
    if draw(st.integers(0, 4)) == 4:
        lines.insert(0, draw(st.sampled_from(["sep={}", '"sep={}"'])).format(separator))
    text = end.join(lines) + draw(st.sampled_from(["", end, end * 2]))
    encoding = draw(st.sampled_from(written.ENCODINGS))
    if encoding == "latin-1" and not (text.isascii() or is_only_latin_1(text)):
        encoding = "utf-8"
    if encoding in ("utf-16-le", "utf-16-be") and max(text) > "\xff":
        encoding = "utf-16"  # with a byte order mark, for other letters do not show the encoding
    data = text.encode(encoding)
    log.encoding = "latin-1" if encoding == "latin-1" else log.encoding
    return data


def is_only_latin_1(text: str) -> bool:
    """Return whether a text can be written in Latin-1, and is not UTF-8 then."""
    if max(text) > "\xff":
        return False
    try:
        text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return True
    return False
