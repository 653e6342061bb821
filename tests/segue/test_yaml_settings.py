"""Settings from YAML on a small class of its own; `tests/models/test_training_config.py` has the real one."""

from dataclasses import field

import pytest
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from segue.errors import InputError
from segue.yaml_settings import AtLeast1, Positive, build, read_settings


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Inner:
    """A section of settings."""

    rate: Positive = 0.1


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Outer:
    """Settings with a section."""

    size: AtLeast1 = 8
    sizes: list[AtLeast1] = field(default_factory=list)
    inner: Inner = field(default_factory=Inner)
    rates: dict[str, Positive] = field(default_factory=dict)


def test_integers_that_came_as_floats_are_integers():
    built = build(Outer, {"size": 4.0, "sizes": [2.0, 3], "inner": {"rate": 1}}, "")
    assert built == Outer(4, [2, 3], Inner(1.0))
    assert type(built.size) is int
    assert type(built.inner.rate) is float


@pytest.mark.parametrize(
    ("values", "where", "headline"),
    [
        ({"inner": {"rate": 0}}, "", "inner.rate must be greater than 0. Received 0."),
        ({"inner": {"rate": 0}}, "model", "model.inner.rate must be greater than 0. Received 0."),
        ({"sizes": [1, 0]}, "model", "model.sizes[1] must be greater than or equal to 1. Received 0."),
        ({"inner": {"speed": 1}}, "model", "There is no setting 'model.inner.speed'."),
        ({"rates": {1: 2.0}}, "", "The names in rates are text. Received 1."),
        ({"rates": {None: 2.0}}, "model", "The names in model.rates are text. Received None."),
        ({"rates": {float("nan"): 2.0}}, "", "The names in rates are text. Received nan."),
        (None, "", "The configuration must be a mapping of settings. Received None."),
        ([], "model", "model must be a mapping of settings. Received []."),
    ],
)
def test_an_error_names_the_path(values, where, headline):
    with pytest.raises(InputError) as error:
        build(Outer, values, where)
    assert error.value.headline == headline


def test_a_long_value_is_shortened():
    with pytest.raises(InputError) as error:
        build(Outer, {"size": "x" * 1000}, "")
    assert len(error.value.headline) < 100


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        read_settings(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0100", "0100"),  # YAML 1.1 reads the octal 64
        ("1:30", "1:30"),  # YAML 1.1 reads 90
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1e-3", 0.001),
        ("-2.5E2", -250.0),
        (".5", 0.5),
        ("-12", -12),
        ("+3", 3),
        ("0", 0),
        ("true", True),
        ("NO", "NO"),  # YAML 1.1 reads false
        ("on", "on"),
        ("2026-01-02x", "2026-01-02x"),
    ],
)
def test_numbers_and_booleans_are_those_of_yaml_1_2(tmp_path, text, value):
    path = tmp_path / "settings.yaml"
    path.write_text(f"value: {text}\nnot a number: .nan\nlarge: -.inf")
    read = read_settings(path)
    assert read["value"] == value
    assert type(read["value"]) is type(value)
    assert read["not a number"] != read["not a number"]
    assert read["large"] == float("-inf")


@pytest.mark.parametrize("text", ["a: 1\na: 2", "b: {a: 1, c: 2, a: 1}", "- {a: 1, 'a': 2}", "a: 1\nb: 2\na: {}"])
def test_a_name_that_is_set_twice_is_refused(tmp_path, text):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="'a' is set twice"):
        read_settings(path)


@pytest.mark.parametrize("text", ["&x {a: *x}", "a: &x [1, *x]", "a: &x {b: [{c: *x}]}", "- &x {? *x : 1}"])
def test_an_alias_within_its_own_anchor_is_refused(tmp_path, text):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"cannot be read: .*recursive"):
        read_settings(path)


def test_other_aliases_are_read(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("a: &x {b: [1]}\nc: *x\nd:\n  <<: *x\n  e: 2")
    assert read_settings(path) == {"a": {"b": [1]}, "c": {"b": [1]}, "d": {"b": [1], "e": 2}}


@pytest.mark.parametrize("text", ["[" * 5000, "{a: " * 5000, "? [1]\n: 2", "a: *b", "a: !!python/name:os.system ''"])
def test_text_that_is_no_settings_file_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="cannot be read") as error:
        read_settings(path)
    assert "\n" not in error.value.headline
