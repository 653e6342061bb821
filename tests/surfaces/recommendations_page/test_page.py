"""The page of recommendations: what it shows, that catalogue text cannot break it, that it needs no other file."""

import re
from datetime import UTC, datetime

import pytest

from surfaces.recommendations_page.page import Figures, ItemCard, ListenerPage, Played, Suggested, render

AT = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)
SONG = ItemCard("i1", "Blue Lantern", "The Feathers", "music", ("rock", "folk"))
HOSTILE = ItemCard(
    "i2", "<script>alert(1)</script> مرحبا 🎧 " + "x" * 300, 'A "quoted" & <b>bold</b>', "podcast", ("talk",)
)


def page(history=(), suggestions=()) -> str:
    return render([ListenerPage("u1", history, suggestions)], "home", AT)


def test_a_listener_sees_history_taste_list_and_reasons():
    text = page(
        [Played(SONG, "play", AT), Played(HOSTILE, "skip", AT)],
        [Suggested(SONG, {"play": 0.42}, ["retrieval", "sequence"], explored=False)],
    )
    assert text.count("Blue Lantern") == 2
    assert "rock 50 %" in text  # of one rock and one folk mention; the skipped item does not count
    assert "play 42 %" in text
    assert "fits the taste of the last plays; often follows what just played" in text


def test_an_explored_item_says_that_it_is_rarely_played():
    text = page(suggestions=[Suggested(SONG, {"play": 0.1}, ["new_releases"], explored=True)])
    assert "came out in the last two weeks; few have played it yet" in text


def test_catalogue_text_is_escaped():
    text = page([Played(HOSTILE, "play", AT)], [Suggested(HOSTILE, {}, ["retrieval"], explored=False)])
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "<b>bold</b>" not in text


@pytest.mark.parametrize("text", ["\x1b[31m", "\u202egnp", "a\rb", "\udcff"])
def test_control_characters_are_visible(text):
    item = ItemCard("i", f"Song {text}", text, text, [text, "rock"])
    written = page([Played(item, "play", AT)], [Suggested(item, {}, [text], False)])
    assert text not in written
    assert written.count(text.encode("unicode_escape", "surrogatepass").decode()) >= 9


def test_the_page_needs_no_other_file_and_no_host():
    text = page([Played(SONG, "play", AT)])
    assert not re.search(r"\b(src|href)=|@import|url\(", text)


def test_a_listener_without_a_history_gets_other_reasons():
    text = page(suggestions=[Suggested(SONG, {"play": 0.1}, ["retrieval", "sequence"], explored=False)])
    assert "suits the place and the hour; is often played first" in text
    assert "taste" not in text.partition("<h3>Plays next</h3>")[2]


@pytest.mark.parametrize(("part", "words"), [("history", "a new listener"), ("list", "the filters leave nothing")])
def test_empty_parts_say_so(part, words):
    assert words in page()


def test_figures_and_links_come_last():
    tables = [Figures("Retrieval", ("model", "recall"), [("candidate", "0.24")], ["Better than popularity."])]
    text = render([], "home", AT, tables, {"drift report": "drift.html"})
    assert text.index("0.24") < text.index("Better than popularity.") < text.index('href="drift.html"')


def test_a_cover_belongs_to_its_item():
    assert SONG.cover == ItemCard("i1", "Another title").cover
    assert SONG.cover != HOSTILE.cover
    assert all(0 <= degrees < 360 for degrees in SONG.cover)
