"""Labels in the model store: promote, rollback, and the canary beside the stable version."""

import pytest

from segue.errors import InputError
from serving.protocol import config_files
from serving.store import model_store
from tests.serving.store.conftest import corrupt


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

    assert model_store.labels(root) == {"a": {"stable": 2}, "b": {"stable": 2}}
    with pytest.raises(InputError, match="no canary to promote"):
        model_store.promote(root)
    with pytest.raises(InputError, match="Only stable can do without a version"):
        model_store.promote(root, label="canary")


def test_rollback_drops_the_canary_first(root, source):
    for label in ("stable", "stable", "canary"):
        model_store.push(root, {"a": source, "b": source}, label=label)

    assert model_store.rollback(root) == ("canary", {"a": None, "b": None})
    assert model_store.labels(root) == {"a": {"stable": 2}, "b": {"stable": 2}}
    assert model_store.rollback(root) == ("stable", {"a": 1, "b": 1})


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
    model_store.relabel(root, lambda _: {"a": {"stable": 2, "canary": 2}}, lambda _, text: written.append(text))
    assert model_store.labels(root) == {"a": {"stable": 2, "canary": 2}}
    assert len(written) == 1
    model_store.relabel(root, lambda labels: labels, lambda _, text: written.append(text))
    assert len(written) == 1  # nothing moves

    corrupt(root, "a", 1)
    with pytest.raises(InputError, match="Only a whole version"):
        model_store.relabel(root, lambda _: {"a": {"stable": 1}})
    assert model_store.labels(root) == {"a": {"stable": 2, "canary": 2}}


def test_rollback_does_not_go_to_a_canary_that_was_dropped(root, source):
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


def test_a_failing_callback_leaves_the_labels_unchanged(root, source):
    for label in ("stable", "canary"):
        model_store.push(root, {"a": source}, label=label)
    before = (root / model_store.CONFIG).read_text()
    changes = []

    def refuse(old, new):
        changes.append((old, new))
        raise InputError("no", "")

    for change in (
        lambda: model_store.promote(root, announce=refuse),
        lambda: model_store.rollback(root, announce=refuse),
    ):
        with pytest.raises(InputError, match="no"):
            change()

    assert (root / model_store.CONFIG).read_text() == before
    assert [old for old, _ in changes] == [before] * 2
    assert [config_files.parse_config(new)[0].labels for _, new in changes] == [{"stable": 2}, {"stable": 1}]


def test_promote_rejects_an_unknown_and_a_corrupt_version(root, source):
    model_store.push(root, {"a": source})

    with pytest.raises(InputError, match=r"version 7\. The versions are: 1"):
        model_store.promote(root, 7)
    corrupt(root, "a", 1)
    with pytest.raises(InputError, match=r"a 1: variables/variables\.index has changed"):
        model_store.promote(root, 1)
