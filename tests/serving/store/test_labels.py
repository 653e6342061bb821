"""Labels in the model store: promote, rollback, and the canary beside the stable version."""

import time

import pytest

from segue.errors import InputError, UnavailableError
from serving.protocol import config_files
from serving.store import model_store
from serving.store.moving import put_back, relabel
from tests.serving.store.conftest import corrupt
from tests.support.soon import SECONDS


def test_rollback_goes_to_the_next_older_whole_version(root, source):
    for _ in range(3):
        model_store.push(root, {"a": source, "b": source})
    corrupt(root, "b", 2)

    assert model_store.rollback(root) == ("stable", {"a": 1, "b": 1})
    assert model_store.labels(root) == {"a": {"stable": 1}, "b": {"stable": 1}}
    with pytest.raises(InputError, match="no older whole version to roll back to"):
        model_store.rollback(root)


def test_rollback_leaves_a_model_that_was_not_part_of_the_last_push(root, source):
    model_store.push(root, {"a": source, "b": source})
    model_store.push(root, {"a": source})

    assert model_store.rollback(root) == ("stable", {"a": 1})
    assert model_store.labels(root) == {"a": {"stable": 1}, "b": {"stable": 1}}


def test_promote_moves_a_label_of_every_model_that_has_the_version(root, source):
    model_store.push(root, {"a": source, "b": source})
    model_store.push(root, {"a": source})

    assert model_store.promote(root, 1) == {"a": 1, "b": 1}
    assert model_store.promote(root, 2, "canary") == {"a": 2}
    assert model_store.labels(root) == {"a": {"stable": 1, "canary": 2}, "b": {"stable": 1}}


def test_a_canary_does_not_move_stable_until_it_is_promoted(root, source):
    model_store.push(root, {"a": source, "b": source})
    assert model_store.push(root, {"a": source, "b": source}, label="canary") == 2
    assert model_store.labels(root) == {"a": {"stable": 1, "canary": 2}, "b": {"stable": 1, "canary": 2}}

    assert model_store.promote(root) == {"a": 2, "b": 2}

    assert model_store.labels(root) == {"a": {"stable": 2, "canary": 2}, "b": {"stable": 2, "canary": 2}}
    with pytest.raises(InputError, match="no canary differs from stable"):
        model_store.promote(root)
    with pytest.raises(InputError, match="Only stable can do without a version"):
        model_store.promote(root, label="canary")


def test_rollback_takes_the_candidate_back_first_and_its_callers_get_what_is_stable(root, source):
    for label in ("stable", "stable", "canary"):
        model_store.push(root, {"a": source, "b": source}, label=label)

    assert model_store.rollback(root) == ("canary", {"a": 2, "b": 2})
    assert model_store.labels(root) == {"a": {"stable": 2, "canary": 2}, "b": {"stable": 2, "canary": 2}}
    assert model_store.rollback(root) == ("stable", {"a": 1, "b": 1})
    assert model_store.labels(root)["a"] == {"stable": 1, "canary": 1}


@pytest.mark.parametrize(
    ("change", "labels"),
    [
        (lambda root, source: model_store.push(root, {"a": source}), {"stable": 3, "canary": 3}),
        (lambda root, source: model_store.promote(root, 1), {"stable": 1, "canary": 1}),
        (lambda root, source: model_store.push(root, {"a": source}, label="canary"), {"stable": 2, "canary": 3}),
    ],
    ids=["push", "promote", "candidate"],
)
def test_a_canary_that_names_what_is_stable_goes_along_with_it(root, source, change, labels):
    for label in ("stable", "canary"):
        model_store.push(root, {"a": source}, label=label)
    model_store.promote(root)
    change(root, source)
    assert model_store.labels(root) == {"a": labels}


def test_a_candidate_keeps_its_label_while_stable_moves(root, source):
    for label in ("stable", "stable", "canary"):
        model_store.push(root, {"a": source}, label=label)
    model_store.promote(root, 1)
    assert model_store.labels(root) == {"a": {"stable": 1, "canary": 3}}
    model_store.push(root, {"a": source})
    assert model_store.labels(root) == {"a": {"stable": 4, "canary": 3}}


def test_rollback_takes_the_canary_of_a_promoted_version_along(root, source):
    for _ in range(2):
        model_store.push(root, {"a": source})
    model_store.promote(root, 2, "canary")

    assert model_store.rollback(root) == ("stable", {"a": 1})
    assert model_store.labels(root) == {"a": {"stable": 1, "canary": 1}}


def test_several_labels_move_in_one_write_and_only_to_whole_versions(root, source):
    for _ in range(3):
        model_store.push(root, {"a": source})
    written = []
    relabel(root, lambda _: {"a": {"stable": 2, "canary": 2}}, lambda *texts: written.append(texts))
    assert model_store.labels(root) == {"a": {"stable": 2, "canary": 2}}
    assert len(written) == 1
    relabel(root, lambda labels: labels, lambda *texts: written.append(texts))
    assert len(written) == 1  # nothing moves

    corrupt(root, "a", 1)
    with pytest.raises(InputError, match="Only a whole version"):
        relabel(root, lambda _: {"a": {"stable": 1}})
    assert model_store.labels(root) == {"a": {"stable": 2, "canary": 2}}


def test_rollback_does_not_go_to_a_candidate_that_was_taken_back(root, source):
    for label in ("stable", "canary"):
        model_store.push(root, {"a": source}, label=label)
    model_store.rollback(root)
    model_store.push(root, {"a": source})

    assert model_store.rollback(root) == ("stable", {"a": 1})


def test_rollback_does_not_go_to_a_version_that_was_rolled_back_from(root, source):
    for _ in range(3):
        model_store.push(root, {"a": source})
    model_store.rollback(root)  # back to version 2
    model_store.push(root, {"a": source})

    assert model_store.rollback(root) == ("stable", {"a": 2})


def test_rollback_of_models_with_different_histories_returns_to_what_was_stable(root, source):
    model_store.push(root, {"a": source, "b": source})
    model_store.push(root, {"a": source})
    model_store.push(root, {"a": source, "b": source})

    # Version 2 of a was stable together with version 1 of b; b has no version 2.
    assert model_store.rollback(root) == ("stable", {"a": 2, "b": 1})


def test_a_model_whose_only_label_is_dropped_is_not_listed(root, source):
    model_store.push(root, {"a": source}, label="canary")
    model_store.rollback(root)

    assert model_store.labels(root) == {}
    assert model_store.versions(root, "a") == [1]
    assert model_store.push(root, {"a": source}) == 2


def test_a_server_that_refuses_leaves_the_labels_unchanged(root, source):
    for label in ("stable", "canary"):
        model_store.push(root, {"a": source}, label=label)
    before = (root / model_store.CONFIG).read_text()
    changes = []

    def refuse(old, new, current):
        changes.append((old, new))
        raise InputError("no", "")

    with pytest.raises(InputError, match="no"):
        model_store.promote(root, announce=refuse)
    assert (root / model_store.CONFIG).read_text() == before
    ((old, new),) = changes
    assert old == before
    assert config_files.parse_config(new)[0].labels == {"stable": 2, "canary": 2}


def test_a_way_back_is_written_although_the_server_refuses(root, source):
    for _ in range(2):
        model_store.push(root, {"a": source})

    def refuse(old, new, current):
        assert current() == new == (root / model_store.CONFIG).read_text()
        raise UnavailableError("no answer", "")

    with pytest.raises(UnavailableError, match="no answer"):
        put_back(root, lambda _: {"a": {"stable": 1}}, refuse)
    assert model_store.labels(root) == {"a": {"stable": 1}}


@pytest.mark.parametrize("back", ["rollback", "put_back"])
def test_a_way_back_waits_for_no_server_that_loads_and_wins(root, source, back):
    """While a promotion holds the store and its server loads, the labels go back; the promotion ends without effect."""
    for label in ("stable", "canary"):
        model_store.push(root, {"a": source}, label=label)
    seconds = []

    def slow(old, new, current):
        began = time.monotonic()
        if back == "rollback":
            assert model_store.rollback(root) == ("canary", {"a": 1})
        else:
            put_back(root, lambda now: {"a": {**now["a"], "canary": 1}})
        seconds.append(time.monotonic() - began)
        assert current() != old

    with pytest.raises(UnavailableError, match="moved by another command while the server loaded"):
        model_store.promote(root, announce=slow)
    assert model_store.labels(root) == {"a": {"stable": 1, "canary": 1}}
    assert seconds[0] < SECONDS


def test_labels_that_moved_meanwhile_are_asked_for_again(root, source):
    for label in ("stable", "canary"):
        model_store.push(root, {"a": source}, label=label)
    told = []

    def interrupted(old, new, current):
        told.append(new)
        if len(told) == 1:
            model_store.rollback(root)

    relabel(root, lambda now: {"a": {**now["a"], "best": now["a"]["canary"]}}, interrupted)
    assert model_store.labels(root) == {"a": {"stable": 1, "canary": 1, "best": 1}}
    assert len(told) == 2


def test_promote_rejects_an_unknown_and_a_corrupt_version(root, source):
    model_store.push(root, {"a": source})

    with pytest.raises(InputError, match=r"version 7\. The versions are: 1"):
        model_store.promote(root, 7)
    corrupt(root, "a", 1)
    with pytest.raises(InputError, match=r"a 1: variables/variables\.index has changed"):
        model_store.promote(root, 1)
