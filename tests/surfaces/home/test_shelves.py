"""Shelves from the sources' answers: what a listener reads."""

import numpy as np
import pytest

from surfaces.home.rules import HomeRules
from surfaces.home.shelves import Found, build_shelves
from tests.support.home_pages import context_of, pool_of

RULES = HomeRules(fewest_items=2)
POOL = pool_of(
    [5, 4, 3, 2, 1, 0],
    content_type=np.array(["music"] * 4 + ["podcast"] * 2),
    genres=[("jazz",), ("jazz", "soul"), ("soul", "jazz"), ("folk",), (), ()],
    age_days=np.array([0.5, 3.2, 12.1, 400, 0.1, 0.9]),
)


def shelves_of(*found, **context):
    return {shelf.id: shelf for shelf in build_shelves(found, POOL, context_of(**context), RULES)}


def test_retrieval_fills_a_mix_other_types_and_the_usual_genres():
    shelves = shelves_of(Found("retrieval", np.arange(6)), plays=20)
    titles = {name: (shelf.title, shelf.items.tolist()) for name, shelf in shelves.items()}
    assert titles == {
        "for_you": ("Picked for you", [0, 1, 2, 3, 4, 5]),
        "for_you:podcast": ("Podcasts for you", [4, 5]),
        "for_you:genre:jazz": ("Jazz for you", [0, 1, 2]),
        "for_you:genre:soul": ("Soul for you", [1, 2]),
    }
    assert {shelf.kind for shelf in shelves.values()} == {"for_you"}
    assert shelves["for_you"].reason == "A mix to fit what you played lately."


def test_a_new_listener_is_not_told_of_plays():
    shelves = shelves_of(Found("retrieval", np.arange(6)), Found("sequence", np.arange(3)), plays=0)
    assert not [shelf.reason for shelf in shelves.values() if "you played" in shelf.reason]


@pytest.mark.parametrize(
    ("found", "shelf_id", "title", "reason"),
    [
        (
            Found("because_you_listened", np.arange(3), "i9", "Amber River"),
            "because_you_listened:i9",
            "Because you listened to Amber River",
            "Listeners of Amber River play these too.",
        ),
        (Found("sequence", np.arange(3)), "next_up", "Up next", "Often follows what you just played."),
        (Found("new_releases", np.arange(3)), "new_releases", "New releases", "Out in the last 13 days."),
        (Found("new_releases", np.array([0, 4])), "new_releases", "New releases", "Out since yesterday."),
        (Found("jump_back_in", np.arange(3)), "jump_back_in", "Jump back in", "You played these lately."),
        (Found("popular", np.arange(3)), "popular", "Popular now", "What listeners play most."),
        (
            Found("popular", np.arange(3), "SE", "SE"),
            "popular:SE",
            "Popular in SE",
            "What listeners in SE play most.",
        ),
        (
            Found("cross_content", np.array([4, 5])),
            "cross_content",
            "Beyond music",
            "You mostly play music at this hour; this may fit too.",
        ),
        (Found("late_night", np.arange(3)), "late_night", "Late night", "Chosen for you."),
    ],
    ids=lambda value: value.source if isinstance(value, Found) else None,
)
def test_titles_and_reasons(found, shelf_id, title, reason):
    shelf = shelves_of(found, plays=20)[shelf_id]
    assert (shelf.title, shelf.reason) == (title, reason)


def test_shelves_with_too_few_items_are_left_out():
    assert shelves_of(Found("popular", np.array([1]))) == {}


def test_an_item_that_the_catalogue_does_not_have_yet_has_no_age():
    pool = pool_of([2, 1, 0], age_days=np.array([np.inf, 3.2, 12.1]))  # the models know it already
    (shelf,) = build_shelves([Found("new_releases", np.arange(3))], pool, context_of(), RULES)
    assert shelf.reason == "Out in the last 13 days."
