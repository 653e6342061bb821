"""The blessing: every limit can fail the candidate on its own, and nan never passes."""

import copy
import math
from dataclasses import replace

import pytest

from models.evaluation.blessing import bless, check, primary_head
from models.training_config import Limits
from segue.errors import InputError
from segue.verdict import Verdict

LIMITS = Limits(auc=0.6, recall_gain=0.01, auc_drop=0.02, recall_drop=0.1)
RETRIEVAL: dict = {
    "models": {n: {"recall_at_100": 0.50} for n in ("candidate", "champion", "sequence", "champion_sequence")},
    "recall_at_100_over_popularity": {"mean": 0.1, "low": 0.05, "high": 0.15},
}
RANKING: dict = {
    "candidate": {
        "play": {"auc": 0.70, "auc_low": 0.65, "label_mean": 0.5},
        "like": {"auc": 0.5, "auc_low": 0.4, "label_mean": 0.1},
    },
    "champion": {"play": {"auc": 0.70, "auc_low": 0.65}},
}


def verdict(retrieval=RETRIEVAL, ranking=RANKING, limits=LIMITS, slices=()) -> Verdict:
    return bless(retrieval, ranking, limits, list(slices))


def changed(tree: dict, path: str, value: float) -> dict:
    """A copy of `tree` with one leaf changed."""
    copied = copy.deepcopy(tree)
    *branches, leaf = path.split(".")
    at = copied
    for branch in branches:
        at = at[branch]
    at[leaf] = value
    return copied


def test_a_candidate_within_all_limits_is_blessed():
    blessing = verdict()
    assert blessing.passed
    assert blessing.reason == "all 5 limits hold"
    assert blessing.limits["auc"] == 0.6


@pytest.mark.parametrize(
    ("part", "path", "least", "name"),
    [
        pytest.param("ranking", "candidate.play.auc_low", 0.6, "ranking AUC of play, low end", id="AUC"),
        pytest.param("retrieval", "recall_at_100_over_popularity.low", 0.01, "over popularity", id="gain"),
        pytest.param("ranking", "candidate.play.auc", 0.7 - 0.02, "AUC of play against", id="AUC drop"),
        pytest.param("retrieval", "models.candidate.recall_at_100", 0.5 * 0.9, "recall@100 against", id="recall drop"),
        pytest.param("retrieval", "models.sequence.recall_at_100", 0.5 * 0.9, "of sequence against", id="sequence"),
    ],
)
def test_each_limit_fails_the_candidate_on_its_own(part, path, least, name):
    trees: dict[str, dict] = {"retrieval": RETRIEVAL, "ranking": RANKING}
    assert verdict(**{part: changed(trees[part], path, least)}).passed  # a figure equal to the limit passes
    for value in (least - 1e-6, math.nan):
        blessing = verdict(**{part: changed(trees[part], path, value)})
        failed = [c["name"] for c in blessing.figures["checks"] if not c["passed"]]
        assert not blessing.passed
        assert len(failed) == 1
        assert name in failed[0]
        assert name in blessing.reason


def test_a_failed_slice_fails_the_candidate_on_its_own():
    blessing = verdict(slices=["AUC in the slice surface=home is 0.4000, below its limit"])
    assert not blessing.passed
    assert blessing.reason.startswith("AUC in the slice surface=home")


def test_the_reason_names_every_failure():
    worse = changed(changed(RANKING, "candidate.play.auc_low", 0.1), "candidate.play.auc", 0.1)
    assert verdict(ranking=worse, slices=["a slice"]).reason.count("; ") == 2


def test_without_a_champion_only_the_absolute_limits_count():
    retrieval = {**RETRIEVAL, "models": {"candidate": {"recall_at_100": 0.01}}}
    blessing = verdict(retrieval, {"candidate": RANKING["candidate"]})
    assert (blessing.passed, len(blessing.figures["checks"])) == (True, 2)


def test_a_champion_without_the_head_is_not_compared():
    ranking = {**RANKING, "champion": {"like": {"auc": 0.99}}}
    assert len(verdict(ranking=ranking).figures["checks"]) == 4


def test_a_candidate_that_beats_the_champion_passes():
    assert verdict(ranking=changed(RANKING, "champion.play.auc", 0.1)).passed


@pytest.mark.parametrize(
    ("heads", "head"), [(["skip", "like", "play"], "play"), (["skip", "like"], "like"), (["skip"], "skip")]
)
def test_the_primary_head_is_play_then_like_then_the_first(heads, head):
    assert primary_head({name: {"label_mean": 0.5} for name in heads}) == head


@pytest.mark.parametrize("constant", [0.0, 1.0])
def test_a_head_with_one_kind_of_label_judges_nothing(constant):
    means = {"play": constant, "skip": 0.5, "like": constant}
    assert primary_head({name: {"label_mean": mean} for name, mean in means.items()}) == "skip"
    with pytest.raises(InputError, match="1 for some events and 0 for others; the span has none"):
        primary_head({"play": {"label_mean": constant}})
    with pytest.raises(InputError):
        primary_head({})


def test_a_check_names_figure_and_limit():
    checked = check("recall", 0.25, 0.5)
    assert checked["sentence"] == "recall is 0.2500, the limit is 0.5000"
    assert (checked["figure"], checked["limit"], checked["passed"]) == (0.25, 0.5, False)


def test_a_lower_limit_blesses_a_candidate_that_a_higher_limit_rejects():
    assert not verdict(limits=replace(LIMITS, auc=0.66)).passed
    assert verdict(limits=replace(LIMITS, auc=0.64)).passed
