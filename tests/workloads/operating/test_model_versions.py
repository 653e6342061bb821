"""Versions of a model with their lineage, figures and decisions."""

from datetime import UTC, datetime

import pytest

from segue.errors import InputError
from segue.settings import MODEL_CARD
from serving.store import model_store
from tests.support.loops import TRAINED, looped
from workloads.operating.decisions import decide
from workloads.operating.model_versions import LONG, model_detail, shortened

NOW = datetime(2026, 3, 6, 12, tzinfo=UTC)


def test_a_version_leads_from_the_data_to_the_label(home):
    versions = model_detail(looped(home), "ranking")["versions"]
    assert [(one["version"], one["labels"], one["whole"]) for one in versions] == [
        (1, [], True),
        (2, ["stable"], True),
        (3, ["canary"], True),
    ]
    lineage = versions[1]["lineage"]
    assert (lineage["dataset"], lineage["run"], lineage["split"]["end"][:10]) == ("a", TRAINED, "2026-03-05")


def test_figures_are_those_of_the_model_in_the_run_that_trained_it(home):
    looped(home)
    assert model_detail(home, "ranking")["versions"][0]["figures"]["play.auc"] == 0.61
    retrieval = model_detail(home, "retrieval")["versions"][0]["figures"]
    assert retrieval == {"recall_at_100": 0.4, "ndcg_at_10": 0.05}  # one was not measured


def test_a_version_whose_run_is_gone_or_that_has_no_card_is_shown_without_figures(home):
    looped(home)
    home.run(TRAINED).evaluation.unlink()
    (home.models / "ranking" / "1" / MODEL_CARD).unlink()
    first, second, _ = model_detail(home, "ranking")["versions"]
    assert (first["lineage"]["run"], first["figures"], first["whole"]) == (None, {}, False)
    assert (second["lineage"]["run"], second["figures"]) == (TRAINED, {})


def test_a_decision_is_recorded_with_its_reason_and_travels_with_the_models(home):
    looped(home)
    record = decide(home, "promote", lambda: ("stable", model_store.promote(home.models)), "better skips", "ann", NOW)
    assert record["versions"] == {"ranking": 3, "retrieval": 3}
    assert model_detail(home, "ranking")["decisions"] == [record]
    assert list(model_store.models(home.models)) == ["ranking", "retrieval"]  # the records are no model
    decide(home, "rollback", lambda: model_store.rollback(home.models), "worse", "bob", NOW.replace(hour=13))
    assert [each["action"] for each in model_detail(home, "ranking")["decisions"]] == ["rollback", "promote"]


def test_a_move_that_the_store_refuses_is_not_recorded(home):
    looped(home)
    with pytest.raises(InputError):
        decide(home, "promote", lambda: ("stable", model_store.promote(home.models, 9)), "why not", "ann", NOW)
    assert model_detail(home, "ranking")["decisions"] == []


def test_a_model_that_is_not_there_is_refused(home):
    with pytest.raises(InputError, match="There is no model 'other'"):
        model_detail(home, "other")


def test_long_lists_of_a_card_are_said_by_their_length():
    card = {"axes": {"tokens": list(range(LONG + 1))}, "genres": ["jazz"]}
    assert shortened(card) == {"axes": {"tokens": f"{LONG + 1} entries"}, "genres": ["jazz"]}
