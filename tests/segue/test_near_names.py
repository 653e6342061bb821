"""A name that is not known is refused with the nearest names."""

import pytest

from segue.errors import InputError
from segue.near_names import check_known, unknown_name

TYPES = ("podcast", "music", "audiobook")


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("podcst", "podcast"),
        ("PODCAST", "podcast"),
        ("musik", "music"),
        ("audio book", "audiobook"),
        ("podcasts", "podcast"),
    ],
)
def test_the_nearest_name_is_suggested(name, suggested):
    with pytest.raises(InputError) as error:
        check_known("content type", name, TYPES)
    assert error.value.headline == f"There is no content type {name!r}."
    assert error.value.fix == f"Did you mean {suggested}? Known are: audiobook, music, podcast."


@pytest.mark.parametrize("name", ["Sweden", "", "xyz"])
def test_without_a_near_name_the_known_names_are_listed(name):
    with pytest.raises(InputError) as error:
        check_known("market", name, ["DE", "BR"])
    assert error.value.fix == "Known are: BR, DE."


def test_without_known_names_the_error_says_so():
    with pytest.raises(InputError) as error:
        check_known("market", "SE", [])
    assert error.value.fix == "No market is known."


@pytest.mark.parametrize(("name", "suggested"), [("epoch", "ranking.epochs"), ("Seed", "ranking.seed")])
def test_a_prefix_stands_before_the_names_and_does_not_make_others_near(name, suggested):
    error = unknown_name("setting", name, ["epochs", "seed", "tower"], "ranking.")
    assert error.headline == f"There is no setting 'ranking.{name}'."
    assert error.fix == f"Did you mean {suggested}? Known are: epochs, seed, tower."


@pytest.mark.parametrize("name", TYPES)
def test_a_known_name_passes(name):
    check_known("content type", name, TYPES)
