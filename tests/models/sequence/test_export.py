"""The sequence SavedModel, compared with the model in memory, and the rules that every playlist keeps."""

import numpy as np
import pytest
import tensorflow as tf

from events import schema
from models.inputs.catalogue import LATER
from models.saved.card import read_card
from models.sequence.coded import fit_codes
from models.sequence.codes import CODES, Codebook
from models.sequence.export import export_sequence
from models.sequence.fit import HeldOut, fit
from models.sequence.histories import requests
from models.sequence.steering import YEAR_SECONDS, Steering
from models.training_config import SequenceConfig
from tests.models.sequence.conftest import ITEMS, LENGTH

pytestmark = pytest.mark.slow  # the model is trained and saved, which takes 10 to 24 s

NOW = 1_700_100_000
CONFIG = SequenceConfig(
    dim=16, heads=2, blocks=1, length=LENGTH, batch_size=8, epochs=1, learning_rate=0.01, action_weight=0.5
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory, request):
    """A model trained for one epoch, its loaded SavedModel, the coded model and the folder."""
    encoder, rounds, items = (request.getfixturevalue(name) for name in ("encoder", "rounds", "catalogue"))
    ends = rounds.offsets[1:] - 1
    inputs = requests(rounds, np.arange(len(rounds)), ends, LENGTH)
    rows = np.arange(1, ITEMS + 1, dtype=np.int32)
    judged = HeldOut(inputs, rounds.item[ends], rows, None)
    model, _ = fit(rounds, judged, encoder, CONFIG, seed=0)
    coded, book, _ = fit_codes(model, rounds, judged, None, seed=0)
    path = tmp_path_factory.mktemp("sequence") / "1"
    popularity = np.bincount(rounds.item, minlength=ITEMS + 1)[1:]
    export_sequence(coded, book, items, popularity, ["odd", "even"], False, {"dataset": "rounds"}, path)
    return model, tf.saved_model.load(str(path)), coded, path


def ids(rows) -> list[str]:
    return [f"i{row - 1}" for row in rows]


def history(*listeners: list[str], minutes: int = 1) -> dict[str, tf.Tensor]:
    """Requests of listeners who played these items, oldest first, a minute apart."""
    width = max(1, *(len(items) for items in listeners))
    times = [[NOW - 60 * minutes * (n + 1) for n in range(len(items))] for items in listeners]
    pad = lambda values, empty: [[*row, *[empty] * (width - len(row))] for row in values]  # noqa: E731
    return {
        "history_items": tf.constant(pad([items[::-1] for items in listeners], ""), tf.string),
        "history_actions": tf.constant(pad([["play"] * len(items) for items in listeners], ""), tf.string),
        "history_times": tf.constant(pad(times, 0), tf.int64),
        "request_ts": tf.constant([NOW] * len(listeners), tf.int64),
        "surface": tf.constant(["home"] * len(listeners)),
    }


def neutral(count: int, **given) -> dict[str, tf.Tensor]:
    """Filters that allow every item, except for the given filters."""
    return {
        "content_types": tf.fill([count, 1], ""),
        "released_after": tf.zeros([count], tf.int64),
        "market": tf.fill([count], ""),
        "exclude_ids": tf.fill([count, 1], ""),
        "heard": tf.fill([count], "include"),
    } | given


def unsteered(count: int, **given) -> dict[str, tf.Tensor]:
    """Wishes without weight, except for the given wishes."""
    names = [f"more_{name}" for name in ("genres", "creators", "types")]
    return {
        **{name: tf.fill([count, 1], "") for name in names},
        **{f"{name}_weights": tf.zeros([count, 1]) for name in names},
        "newer": tf.zeros([count]),
        "rarer": tf.zeros([count]),
    } | given


def following(saved, listeners, **filters) -> tuple[list[list[str]], np.ndarray]:
    """The ids and scores that `next` returns for as many items as there are."""
    count = len(listeners)
    answer = saved.signatures["next"](k=tf.fill([count], ITEMS), **history(*listeners), **neutral(count, **filters))
    return [[item.decode() for item in row if item] for row in answer["item_ids"].numpy()], answer["scores"].numpy()


def playlists(saved, listeners, length=5, temperature=1.0, seed=0, wishes=None, **filters) -> list[list[str]]:
    count = len(listeners)
    answer = saved.signatures["generate"](
        length=tf.constant(np.broadcast_to(length, count), tf.int32),
        temperature=tf.fill([count], temperature),
        seed=tf.constant(np.broadcast_to(seed, count), tf.int64),
        **history(*listeners), **neutral(count, **filters), **unsteered(count, **(wishes or {})),
    )  # fmt: skip
    return [[item.decode() for item in row if item] for row in answer["item_ids"].numpy()]


LISTENERS = [["i1", "i2", "i3"], ["i7"], [], [f"i{n % 19}" for n in range(30)]]


def test_next_has_the_scores_of_the_model_in_memory(saved, rounds):
    model, loaded, *_ = saved
    listeners = np.arange(4)
    ends = rounds.offsets[1:5] - 1
    inputs = requests(rounds, listeners, ends, LENGTH)
    states = model.listener_vectors({name: tf.constant(values) for name, values in inputs.items()}).numpy()
    vectors = model.item_vectors(np.arange(1, ITEMS + 1, dtype=np.int32)).numpy()
    past = [slice(rounds.offsets[n], ends[n]) for n in listeners]
    width = max(s.stop - s.start for s in past)
    back = lambda values, empty: [[*values[s][::-1], *[empty] * (width - s.stop + s.start)] for s in past]  # noqa: E731
    items = [ids(rounds.item[s][::-1]) + [""] * (width - s.stop + s.start) for s in past]
    answer = loaded.signatures["next"](
        k=tf.fill([4], ITEMS),
        history_items=tf.constant(items),
        history_actions=tf.constant([["play" if item else "" for item in row] for row in items]),
        history_times=tf.constant(back(rounds.time, 0), tf.int64),
        request_ts=tf.constant(rounds.time[ends]),
        surface=tf.constant(["home"] * 4),  # row 2 of the lookup, as in the fixture
        **neutral(4),
    )
    np.testing.assert_allclose(answer["scores"], np.sort(states @ vectors.T, axis=1)[:, ::-1], atol=1e-5)


def decoded(loaded, listeners, k=ITEMS, **filters) -> tuple[list[list[str]], np.ndarray]:
    """The ids and scores that `decode` returns."""
    count = len(listeners)
    answer = loaded.signatures["decode"](k=tf.fill([count], k), **history(*listeners), **neutral(count, **filters))
    return [[item.decode() for item in row if item] for row in answer["item_ids"].numpy()], answer["scores"].numpy()


def test_decode_has_the_items_of_the_head_in_memory(saved, rounds):
    _, loaded, coded, _ = saved
    states = loaded.signatures["embed"](**history(*LISTENERS))["embedding"]
    rows, log_probability = coded.head.search(states, ITEMS)
    answers, scores = decoded(loaded, LISTENERS)
    assert answers == [ids(row) for row in rows.numpy()]
    np.testing.assert_allclose(scores, log_probability, atol=1e-4)
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, atol=1e-4)


def test_decode_obeys_filters_and_k(saved):
    _, loaded, *_ = saved
    only = [f"i{n}" for n in range(ITEMS) if n not in (4, 9)]
    answers, scores = decoded(loaded, LISTENERS, exclude_ids=tf.constant([only] * 4))
    assert [set(row) for row in answers] == [{"i4", "i9"}] * 4
    assert (scores[:, 2:] == np.finfo(np.float32).min).all()
    (few,), values = decoded(loaded, LISTENERS[:1], k=3)
    assert len(few) == 3
    assert values.shape == (1, 3)


def test_the_codes_are_written_beside_the_card(saved):
    *_, coded, path = saved
    book = Codebook.read(path / CODES)
    assert book.ids == [f"i{n}" for n in range(ITEMS)]
    order = np.lexsort(book.codes.T[::-1])  # the tree sorts items by their codes
    np.testing.assert_array_equal(coded.tree.rows, 1 + order)
    assert 0 <= read_card(path)["collision_rate"] <= 1


def test_score_gives_candidates_the_scores_of_next(saved):
    _, loaded, *_ = saved
    answers, scores = following(loaded, LISTENERS)
    candidates = tf.constant([[*row, "nothing"] for row in answers])
    again = loaded.signatures["score"](candidate_ids=candidates, **history(*LISTENERS))["scores"].numpy()
    np.testing.assert_allclose(again[:, :-1], scores, atol=1e-5)
    assert (again[:, -1] == np.finfo(np.float32).min).all()
    assert all(len(row) == ITEMS for row in answers)


def test_score_gives_the_probability_of_each_action(saved):
    model, loaded, *_ = saved
    candidates = tf.constant([["i4", "i9", "nothing"]] * 4)
    answer = loaded.signatures["score"](candidate_ids=candidates, **history(*LISTENERS))
    state = loaded.signatures["embed"](**history(*LISTENERS))["embedding"]
    actions = [name for name in answer if name != "scores"]
    assert sorted(actions) == sorted(schema.INTERACTIONS)
    for place, row in enumerate((5, 10)):
        item = tf.repeat(model.item_vectors(tf.constant([row])), 4, axis=0)
        expected = model.actions_of(state, item).numpy()
        got = np.stack([answer[name].numpy()[:, place] for name in schema.INTERACTIONS], axis=1)
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_the_embedding_scores_items(saved):
    model, loaded, *_ = saved
    vectors = model.item_vectors(np.arange(1, ITEMS + 1, dtype=np.int32)).numpy()
    state = loaded.signatures["embed"](**history(*LISTENERS))["embedding"].numpy()
    _, scores = following(loaded, LISTENERS)
    np.testing.assert_allclose(np.sort(state @ vectors.T, axis=1)[:, ::-1], scores, atol=1e-5)


def test_heard_and_excluded_items_are_left_out(saved):
    _, loaded, *_ = saved
    (answer,), _ = following(loaded, [["i1", "i2"]], heard=tf.constant(["exclude"]), exclude_ids=tf.constant([["i5"]]))
    assert set(answer) == {f"i{n}" for n in range(ITEMS)} - {"i1", "i2", "i5"}


def test_an_unknown_item_of_the_history_changes_no_answer(saved):
    _, loaded, *_ = saved
    (plain,), scores = following(loaded, [["i1", "i2"]])
    for items in (["unknown", "i1", "i2"], ["i1", "unknown", "i2"], ["i1", "i2", "unknown"]):
        request = history(items)
        # The answer depends on times, so the known items keep the times that they have without the unknown item.
        times = {"i1": NOW - 120, "i2": NOW - 60}
        request["history_times"] = tf.constant([[times.get(item, NOW - 90) for item in items[::-1]]], tf.int64)
        answer = loaded.signatures["next"](k=tf.constant([ITEMS]), **request, **neutral(1))
        assert [item.decode() for item in answer["item_ids"].numpy()[0]] == plain
        np.testing.assert_allclose(answer["scores"], scores, rtol=1e-5)


@pytest.mark.parametrize("name", ["history_items", "history_actions", "history_times"])
def test_histories_of_unequal_length_are_refused(saved, name):
    asked = history(["i1", "i2", "i3"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="must have the same number of entries"):
        saved[1].signatures["embed"](**asked | {name: asked[name][:, :2]})


def test_a_playlist_at_temperature_0_takes_the_likeliest_item_each_time(saved):
    _, loaded, *_ = saved
    (playlist,) = playlists(loaded, [["i3", "i4"]], length=4, temperature=0.0, heard=tf.constant(["exclude"]))
    played, times = ["i3", "i4"], [NOW - 60, NOW - 120]
    now = NOW
    for item in playlist:
        request = history(played)
        request |= {"history_times": tf.constant([times], tf.int64), "request_ts": tf.constant([now], tf.int64)}
        best = loaded.signatures["next"](k=tf.constant([1]), **request, **neutral(1, heard=tf.constant(["exclude"])))
        assert best["item_ids"].numpy()[0, 0].decode() == item
        # The item plays to its end, and the next request is made then.
        now += 60 + int(item[1:])
        played.append(item)
        times = [now, *times]


def test_a_seed_gives_one_playlist_whatever_the_other_requests(saved):
    _, loaded, *_ = saved
    together = playlists(loaded, LISTENERS, seed=[3, 4, 5, 6])
    assert together == [
        playlists(loaded, [listener], seed=n)[0] for n, listener in zip((3, 4, 5, 6), LISTENERS, strict=True)
    ]
    assert playlists(loaded, LISTENERS, seed=[13, 14, 15, 16]) != together


def test_each_request_has_its_own_length(saved):
    _, loaded, *_ = saved
    answers = playlists(loaded, LISTENERS, length=[1, 0, 25, 3])
    assert [len(row) for row in answers] == [1, 0, ITEMS, 3]  # the catalogue has 20 items
    assert playlists(loaded, LISTENERS, length=[0, 0, -3, 0]) == [[], [], [], []]


@pytest.mark.parametrize("given", [np.inf, -np.inf, np.nan])
def test_infinite_and_nan_weights_break_no_playlist(saved, given):
    _, loaded, *_ = saved
    named = {"more_genres": "odd", "more_creators": "c1"}
    wishes = [{name: tf.fill([1, 1], of), f"{name}_weights": tf.fill([1, 1], given)} for name, of in named.items()]
    wishes += [{name: tf.fill([1], given)} for name in ("newer", "rarer")]
    answers = [playlists(loaded, [["i3"]], length=ITEMS, wishes=wish)[0] for wish in wishes]
    answers += [playlists(loaded, [["i3"]], length=ITEMS, temperature=given)[0]]
    assert [sorted(row) for row in answers] == [sorted(f"i{n}" for n in range(ITEMS))] * 5


def test_an_infinite_wish_puts_its_items_first_and_a_negative_one_last(saved):
    _, loaded, *_ = saved
    for weight, first in ((np.inf, 1), (-np.inf, 0)):
        wish = {"more_genres": tf.constant([["odd"]]), "more_genres_weights": tf.constant([[weight]], tf.float32)}
        (playlist,) = playlists(loaded, [["i3"]], length=ITEMS, wishes=wish)
        assert [int(item[1:]) % 2 for item in playlist] == [first] * 10 + [1 - first] * 10


def test_ten_thousand_playlists_hold_only_existing_and_allowed_items_once(saved):
    _, loaded, *_ = saved
    rng = np.random.default_rng(0)
    catalogue_ids = {f"i{n}" for n in range(ITEMS)}
    for _ in range(100):
        listeners = [list(rng.choice(sorted(catalogue_ids), rng.integers(0, 6), replace=False)) for _ in range(100)]
        excluded = rng.choice(sorted(catalogue_ids), (100, 3))
        heard = rng.choice(["include", "exclude"], 100)
        answers = playlists(
            loaded, listeners, length=rng.integers(1, 7, 100), temperature=float(rng.choice([0.0, 0.5, 1.0, 3.0])),
            seed=rng.integers(0, 2**40, 100), exclude_ids=tf.constant(excluded.tolist()), heard=tf.constant(heard),
        )  # fmt: skip
        for history_items, banned, wish, row in zip(listeners, excluded, heard, answers, strict=True):
            assert len(set(row)) == len(row) > 0
            assert set(row) <= catalogue_ids - set(banned) - (set(history_items) if wish == "exclude" else set())


@pytest.mark.parametrize(
    ("wish", "share"),
    [
        ("more_genres", lambda item: int(item[1:]) % 2 == 1),
        ("more_creators", lambda item: int(item[1:]) % 2 == 1),
    ],
    ids=["genre", "creator"],
)
def test_a_wish_changes_the_share_of_its_items(saved, wish, share):
    _, loaded, *_ = saved
    name = {"more_genres": "odd", "more_creators": "c1"}[wish]
    listeners = [[f"i{n % 19}"] for n in range(200)]
    shares = []
    for weight in (-3.0, -1.0, 0.0, 1.0, 3.0):
        wishes = {wish: tf.fill([200, 1], name), f"{wish}_weights": tf.fill([200, 1], weight)}
        answers = playlists(loaded, listeners, length=4, seed=np.arange(200), wishes=wishes)
        shares.append(np.mean([share(item) for row in answers for item in row]))
    assert shares == sorted(shares)
    assert shares[-1] > shares[0] + 0.3


def test_an_added_item_has_its_own_era_and_is_the_rarest(encoder, catalogue):
    steering = Steering(encoder.catalogue, np.pad(np.arange(1.0, ITEMS + 1), (1, LATER)), ["odd", "even"])
    before = steering.era().numpy()
    assert steering.rare.numpy()[ITEMS + 1 :].min() > steering.rare.numpy()[1 : ITEMS + 1].max()
    assert (before[ITEMS + 1 :] == 0).all()
    release = encoder.catalogue.release_ts
    was = release.numpy()
    try:
        release.scatter_update(tf.IndexedSlices(was[[ITEMS]] + 10 * YEAR_SECONDS, [ITEMS + 1]))
        assert float(steering.era()[ITEMS + 1]) == pytest.approx(before[ITEMS] + 1, abs=1e-4)
    finally:
        release.assign(was)


def test_wishes_for_newer_and_rarer_items_are_met(saved, catalogue):
    _, loaded, *_ = saved
    release = dict(zip(catalogue["item_id"].to_pylist(), catalogue["release_ts"].to_pylist(), strict=True))
    listeners = [[f"i{n % 19}"] for n in range(200)]
    means = []
    for weight in (-3.0, 0.0, 3.0):
        answers = playlists(loaded, listeners, length=3, seed=np.arange(200), wishes={"newer": tf.fill([200], weight)})
        means.append(np.mean([release[item] for row in answers for item in row]))
    assert means == sorted(means)
    # i19 is absent from training, so it is the rarest item.
    few, many = (
        sum(
            "i19" in row
            for row in playlists(loaded, listeners, length=3, seed=np.arange(200), wishes={"rarer": tf.fill([200], w)})
        )
        for w in (-3.0, 3.0)
    )
    assert many > few
