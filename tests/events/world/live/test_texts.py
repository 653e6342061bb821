"""Titles are distinct for 40,000 items, and queries are phrases with one or two typos."""

import numpy as np
import pytest

from events.importers.synthetic import sized
from events.world import catalogue
from events.world.live import words
from events.world.live.moods import MOODS
from events.world.live.queries import misspelt, searches, typed
from events.world.live.titles import creator_names, titles
from events.world.live.world import World


def distance(a: str, b: str) -> int:
    """The distance of Damerau and Levenshtein (optimal string alignment), by the textbook table."""
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    table[:, 0], table[0] = np.arange(len(a) + 1), np.arange(len(b) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            same = a[i - 1] == b[j - 1]
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (not same))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return int(table[-1, -1])


def test_forty_thousand_titles_and_five_thousand_names_are_distinct():
    creators, items = catalogue.build(sized("large", "catalogue", 30, version=2), seed=0)
    assert len(items) == 52_000
    assert len(set(titles(0, items))) == len(items)
    names = creator_names(0, creators)
    assert len(set(names)) == len(names) == 5_000


def test_the_titles_of_a_catalogue_do_not_depend_on_what_is_added():
    plain, flooded = (catalogue.build(sized("nano", *drift, version=2), 0)[1] for drift in ((), ("catalogue", 14)))
    assert titles(0, flooded)[: len(plain)] == titles(0, plain)


def test_every_mood_has_words_and_occasions():
    assert len(words.MOOD_WORDS) == len(words.OCCASIONS) == len(MOODS)
    flat = [word for group in words.MOOD_WORDS for word in group]
    assert len(set(flat)) == len(flat)


@pytest.mark.parametrize("text", ["calm jazz for studying", "river", "the golden harbours"])
def test_a_misspelt_text_is_one_edit_away(text):
    rng = np.random.default_rng(0)
    assert {distance(text, misspelt(rng, text)) for _ in range(200)} == {1}


def test_short_words_stay():
    assert {misspelt(np.random.default_rng(seed), "pop") for seed in range(20)} == {"pop"}


def test_one_query_in_five_has_one_or_two_typos():
    rng = np.random.default_rng(1)
    distances = np.bincount([distance("songs by ada berg", typed(rng, "songs by ada berg")) for _ in range(2_000)])
    assert len(distances) == 3
    assert 0.16 < distances[1:].sum() / 2_000 < 0.24
    assert distances[1] > 2 * distances[2] > 0


def test_a_query_names_the_target_and_depends_on_its_request_alone():
    world = World.build(sized("nano", version=2), 0)
    names = titles(0, world.items), creator_names(0, world.creators)
    request, user, mood = np.arange(300), np.arange(300) % 60, np.arange(300) % len(MOODS)
    found = searches(0, request, user, mood, world.day(0).policy, *names)
    alone = searches(0, request[7:8], user[7:8], mood[7:8], world.day(0).policy, *names)
    assert alone.text == found.text[7:8]
    named = [names[0][item].lower() in text for item, text in zip(found.target, found.meant, strict=True)]
    assert 0.1 < np.mean(named) < 0.4
    assert len(set(found.meant)) > 150
    moods = [any(word in text for word in words.MOOD_WORDS[m]) for m, text in zip(mood, found.meant, strict=True)]
    assert np.mean(moods) > 0.1
