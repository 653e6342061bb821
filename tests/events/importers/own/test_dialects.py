"""Encodings, separators and decimal commas of text files."""

import codecs

import pyarrow as pa
import pytest

from events.importers import tabular
from events.importers.own import dialects
from events.importers.own.dialects import Dialect
from segue.errors import InputError

ROWS = [
    ("event_id", "user_id", "item_id", "ts", "action", "query"),
    ("1", "u0", "i0", "2026-01-05", "play", "Beyoncé"),
    ("2", "u1", "i0", "2026-01-06", "skip", "Sigur Rós"),
]


def lines(separator: str, rows=ROWS, end: str = "\n") -> str:
    return "".join(separator.join(row) + end for row in rows)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "\x01"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_separators_are_told_from_the_header(tmp_path, separator, end):
    (tmp_path / "log.csv").write_text(lines(separator, end=end), newline="")
    assert tabular.read(tmp_path / "log.csv").events["query"].to_pylist() == ["Beyoncé", "Sigur Rós"]


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("a;b\n1,5;2,5\n", ";"),
        ("a,b\nx|y|z,1\n", ","),
        ('"a;b;c",d\n1,2\n', ","),
        ("a;b,c\n1,2;3,4\n", ";"),
        ("user_id\nu0\n", ","),
        ('a\tb\n"x,\ny"\t1\n', "\t"),
        ("a,b\n" + "x;y," * 40_000, ","),
    ],
)
def test_values_with_other_separators_do_not_mislead(text, separator):
    assert dialects.separator_of(text.encode()) == separator


@pytest.mark.parametrize("above", ["sep=;\n", '"sep=;"\r\n', "SEP=;\r", "\n", "\n \r\n", "\r\n"])
def test_lines_above_the_header_are_read_and_counted(tmp_path, above):
    (tmp_path / "log.csv").write_text(above + lines(";").replace("2026-01-06", "noon"), newline="")
    row = 3 + len(above.splitlines())
    with pytest.raises(InputError, match=rf"log.csv, row {row}: ts is 'noon'"):
        tabular.read(tmp_path / "log.csv")


@pytest.mark.parametrize("separator", ["^", "::", "~", "§"])
def test_another_separator_is_named_with_an_option(tmp_path, separator):
    (tmp_path / "log.csv").write_text(lines(separator))
    with pytest.raises(InputError, match=r"read as CSV in utf-8, separated by commas.*--separator"):
        tabular.read(tmp_path / "log.csv")
    events = tabular.read(tmp_path / "log.csv", dialect=Dialect(separator=separator)).events
    assert events["query"].to_pylist() == ["Beyoncé", "Sigur Rós"]


@pytest.mark.parametrize("separator", ["\t", "\\t"])
def test_a_tab_may_be_given_as_shells_leave_it(tmp_path, separator):
    (tmp_path / "log.csv").write_text(lines("\t"))
    assert tabular.read(tmp_path / "log.csv", dialect=Dialect(separator=separator)).events.num_rows == 2


@pytest.mark.parametrize(
    "data",
    [
        lines(",").encode("utf-8-sig"),
        lines(",").encode("utf-16"),
        codecs.BOM_UTF16_BE + lines(";").encode("utf-16-be"),
        lines("\t").encode("utf-16-le"),
        lines(",").encode("utf-16-be"),
        lines(",").encode("utf-32"),
        lines(",", [*ROWS, ("3", "u1", "Ā", "2026-01-06", "skip", "")])[:-1].encode("utf-16-le"),
    ],
)
def test_unicode_in_any_form_is_read(tmp_path, data):
    (tmp_path / "log.csv").write_bytes(data)
    events = tabular.read(tmp_path / "log.csv").events
    assert events.column_names[0] == "event_id"
    assert events["query"].to_pylist()[:2] == ["Beyoncé", "Sigur Rós"]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp1250"])
def test_another_encoding_is_refused_with_the_row_and_read_with_the_option(tmp_path, encoding):
    (tmp_path / "log.csv").write_bytes(lines(",").encode(encoding))
    with pytest.raises(InputError, match=r"log.csv, row 2: the byte 0xe9 is not UTF-8. As .*Beyoncé.*--encoding"):
        tabular.read(tmp_path / "log.csv")
    events = tabular.read(tmp_path / "log.csv", dialect=Dialect(encoding=encoding)).events
    assert events["query"].to_pylist() == ["Beyoncé", "Sigur Rós"]


def test_the_option_leaves_files_alone_that_are_unicode(tmp_path):
    (tmp_path / "log.csv").write_text(lines(","))
    events = tabular.read(tmp_path / "log.csv", dialect=Dialect(encoding="cp1252")).events
    assert events["query"].to_pylist() == ["Beyoncé", "Sigur Rós"]


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("cp9999", "There is no encoding 'cp9999'"),
        ("undefined", "There is no encoding"),
        ("a\0b", "There is no"),
        ("ascii", "row 2: the byte 0xe9 is neither UTF-8 nor ascii"),
    ],
)
def test_a_wrong_encoding_is_named(tmp_path, encoding, message):
    (tmp_path / "log.csv").write_bytes(lines(",").encode("cp1252"))
    with pytest.raises(InputError, match=message):
        tabular.read(tmp_path / "log.csv", dialect=Dialect(encoding=encoding))


@pytest.mark.parametrize("place", ["u1", "2026-01-06", "Sigur"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_zero_byte_in_a_text_is_named_with_its_row(tmp_path, place, encoding):
    (tmp_path / "log.csv").write_text(lines(",").replace(place, place + "\0"), encoding)
    with pytest.raises(InputError, match=r"log.csv, row 3: text has no zero bytes"):
        tabular.read(tmp_path / "log.csv")


@pytest.mark.parametrize("space", [" ", "\u00a0", "  "])
def test_spaces_in_the_header_do_not_make_numbers_of_ids(tmp_path, space):
    rows = [tuple(space + name for name in ROWS[0]), ("1", "007", "0010", *ROWS[1][3:]), ("2", "7", "10", *ROWS[2][3:])]
    (tmp_path / "log.csv").write_text(lines(";", rows))
    events = tabular.read(tmp_path / "log.csv").events
    assert events["user_id"].to_pylist() == ["007", "7"]
    assert events["item_id"].to_pylist() == ["0010", "10"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0,5", "0,125", None], [0.5, 0.125, None]),
        (["3", "12,25"], [3.0, 12.25]),
        (["-1,5", " 1234,000"], [-1.5, 1234.0]),
        (["1,234", "5,678"], ["1,234", "5,678"]),  # may be thousands
        (["0,5", "0.5"], ["0,5", "0.5"]),
        (["1.234,5"], ["1.234,5"]),
        (["0,5", "soon"], ["0,5", "soon"]),
    ],
)
def test_decimal_commas_are_read_where_they_are_clear(values, expected):
    assert dialects.with_decimal_points(pa.chunked_array([values])).to_pylist() == expected


def test_decimal_commas_are_read_in_numbers_and_left_alone_in_text(tmp_path):
    rows = [(*ROWS[0], "propensity", "ms_played"), (*ROWS[1][:5], "1,5", "0,25", "2000,0"), (*ROWS[2], "1", "30")]
    (tmp_path / "log.csv").write_text(lines(";", rows))
    events = tabular.read(tmp_path / "log.csv").events
    assert events["propensity"].to_pylist() == [0.25, 1.0]
    assert events["ms_played"].to_pylist() == [2000, 30]
    assert events["query"].to_pylist() == ["1,5", "Sigur Rós"]


def test_a_comma_that_may_separate_thousands_is_refused(tmp_path):
    (tmp_path / "log.csv").write_text(lines(";", [(*ROWS[0], "ms_played"), (*ROWS[1], "121,100")]))
    with pytest.raises(InputError, match=r"log.csv, row 2: ms_played is '121,100', which is not a whole number"):
        tabular.read(tmp_path / "log.csv")
