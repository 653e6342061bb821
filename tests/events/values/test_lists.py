"""Lists that are written as text; the whole column decides how they are read."""

import pyarrow as pa
import pytest

from events import canonical, schema
from events.origins import RowOrigins
from segue.errors import InputError

BOTH = [["rock", "jazz"], ["folk"], None]


def read(values: list) -> tuple[list, str]:
    """Return the lists read from a column of these values, and the note."""
    column = pa.chunked_array([pa.array(values, pa.string())])
    lists, note = canonical.read(column, schema.ITEMS.field("genres"), RowOrigins.of("items.csv", len(values), 2))
    return lists.to_pylist(), note


@pytest.mark.parametrize(
    "values",
    [
        ["rock|jazz", "folk", None],
        ["rock | jazz|", "folk", ""],
        ["rock;jazz", "folk", None],
        ["rock, jazz", "folk", None],
        ["['rock', 'jazz']", "['folk']", None],
        ['["rock","jazz"]', '["folk", null]', None],
        ["{rock,jazz}", "{folk}", None],
        ['{"rock",jazz}', "{folk}", ""],
        ["{'rock', 'jazz'}", "{'folk'}", None],
        ["[rock, jazz]", "[folk]", None],
        ["['rock', 'jazz']", "folk", None],
        ["['rock' 'jazz']", "['folk']", None],
        ["['rock'\n 'jazz']", "['folk']", None],
        ['("rock", "jazz")', "('folk',)", None],
        ["['rock', 'jazz']", "['folk']", "nan"],
        ['["rock", "jazz"]', '["folk"]', "null"],
        ["{rock,jazz}", "{folk}", "\\N"],
    ],
    ids=str,
)
def test_lists_are_read_however_they_are_written(values):
    assert read(values)[0] == BOTH


def test_the_import_says_how_lists_were_read():
    assert read(["rock|jazz", "folk"])[1] == ""
    assert read(["rock;jazz", "folk"])[1] == "lists are separated by `;`: 1 of 2 values have one, none has a `|`"
    assert read(["['rock']"])[1] == "lists written as text, such as ['rock'], are read as lists"
    assert "1 of 3 values have a `,` or `;` and stay whole" in read(["rock", "jazz", "Folk, World"])[1]


def test_a_single_genre_with_a_comma_is_not_broken():
    values = ["rock", "jazz", "Folk, World", "soul", "rock"]
    assert read(values)[0] == [["rock"], ["jazz"], ["Folk, World"], ["soul"], ["rock"]]
    assert read(["rock|Folk, World", "jazz, fusion"])[0] == [["rock", "Folk, World"], ["jazz, fusion"]]


def test_few_lists_are_split_if_their_parts_stand_alone_too():
    assert read(["rock", "jazz", "rock, jazz", "soul", "rock"])[0][2] == ["rock", "jazz"]


def test_elements_in_brackets_may_hold_separators_and_spaces():
    assert read(["['R&B, Soul', 'hip hop']"])[0] == [["R&B, Soul", "hip hop"]]
    assert read(['{"R&B, Soul",rock}', "{}"])[0] == [["R&B, Soul", "rock"], []]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\u2028"])
def test_a_line_break_in_brackets_is_a_space(end):
    assert read([f"[rock{end}roll, jazz]", f"{{folk{end}}}"])[0] == [["rock roll", "jazz"], ["folk"]]


@pytest.mark.parametrize(
    "value", ["[" * 5000 + "]" * 5000, "[" * 900 + "]" * 900, '[{"a": ' * 3000 + "1" + "}]" * 3000]
)
def test_brackets_in_brackets_are_refused_shortly(value):
    with pytest.raises(InputError, match=r"items.csv, row 3: genres is .*, which is not a list of texts") as error:
        read(["[folk]", value])
    assert len(error.value.headline) < 200


@pytest.mark.parametrize("empty", ["[]", "{}", "()", "[ ]"])
def test_empty_brackets_are_no_genre_beside_other_lists(empty):
    assert read(["['rock', 'jazz']", "['folk']", empty, "soul"])[0][2] == []


@pytest.mark.parametrize("value", ["(no genres listed)", "None", "NA"])
def test_a_word_is_a_value_of_a_list(value):
    assert read(["rock|jazz", value])[0][1] == [value]
    assert read([value, value])[0] == [[value]] * 2


@pytest.mark.parametrize("item", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_lists_lose_parts_without_text(item):
    values = [["rock", None, " jazz "], ["", "folk"], None, []]
    column = pa.chunked_array([pa.array(values[:1], pa.list_(item)), pa.array(values[1:], pa.list_(item))])
    lists, _ = canonical.read(column, schema.ITEMS.field("genres"), RowOrigins.of("items.parquet", 4))
    assert lists.to_pylist() == [["rock", "jazz"], ["folk"], None, []]


@pytest.mark.parametrize("value", ["[{'id': 16, 'name': 'Animation'}]", "[['rock']]"])
def test_a_list_of_something_else_is_refused(value):
    with pytest.raises(InputError, match=r"items.csv, row 3: genres is .*, which is not a list of texts"):
        read(["['rock']", value])
