"""An evaluation as flat metrics for MLflow and as a Markdown page."""

import math

import pytest

from models.evaluation.report import flat_metrics, gains, markdown, ranking_rows, retrieval_rows, table
from segue.files import read_json, write_json

CALIBRATION = {"examples": 100, "prediction_mean": 0.3, "label_mean": 0.31, "ece": 0.02}
EVALUATION = {
    "retrieval": {
        "examples": 70,
        "models": {"candidate": {"recall_at_10": 0.2, "recall_at_100": 0.5, "ndcg_at_10": 0.1}},
        "recall_at_100_over_popularity": {"mean": 0.1, "low": 0.05, "high": 0.15},
        "sequence_as_a_source": {"merged_recall_at_200": {"mean": 0.02, "low": -0.01, "high": 0.05}},
        "slices": {"surface=home": {"examples": 60, "candidate": 0.4}},
    },
    "ranking": {
        "candidate": {
            "play": {"auc": 0.7, "auc_low": 0.6, "auc_high": 0.8, "log_loss": 0.5, "ece": 0.02, "label_mean": 0.3}
        }
    },
    "calibration": {
        "play": {
            "overall": CALIBRATION | {"reliability": [(0.1, 0.2, 40), (0.4, 0.35, 60)]},
            "content_type=audio book": CALIBRATION | {"ece": 0.1, "reliability": [(0.3, 0.31, 60)]},
        }
    },
    "analysis": {
        "head": "play",
        "slices": {
            "overall": {"auc": 0.7, "examples": 100, "calibration": 1.0},
            "surface=home": {"auc": math.nan, "examples": 60, "calibration": 0.9},
        },
    },
    "verdict": {"passed": True, "reason": "all 2 limits hold"},
}


def test_every_figure_has_a_flat_name():
    flat = flat_metrics(EVALUATION)
    assert flat["retrieval.candidate.recall_at_100"] == 0.5
    assert flat["retrieval.recall_at_100_over_popularity.low"] == 0.05
    assert flat["ranking.candidate.play.auc"] == 0.7
    assert flat["ranking.candidate.play.ece"] == 0.02
    assert flat["calibration.play.overall.ece"] == 0.02
    assert flat["calibration.play.content_type.audio_book.ece"] == 0.1  # MLflow allows neither = nor blanks
    assert flat["retrieval.sequence_as_a_source.merged_recall_at_200.low"] == -0.01
    assert len(flat) == 3 + 3 + 3 + 6 + 2


def test_flat_metrics_leave_out_nan():
    broken = EVALUATION | {"ranking": {"candidate": {"like": {"auc": math.nan, "label_mean": 0.0}}}}
    flat = flat_metrics(broken)
    assert "ranking.candidate.like.auc" not in flat
    assert flat["ranking.candidate.like.label_mean"] == 0.0


def test_an_evaluation_read_back_from_json_has_nan_where_the_file_has_null(tmp_path):
    nothing = dict.fromkeys(("auc", "auc_low", "auc_high", "log_loss", "ece"), math.nan) | {"label_mean": 0.0}
    write_json(tmp_path / "evaluation.json", EVALUATION | {"ranking": {"candidate": {"like": nothing}}})
    saved = read_json(tmp_path / "evaluation.json")
    ((_, head, auc, interval, *_),) = ranking_rows(saved)
    assert (head, math.isnan(auc), interval) == ("like", True, "nan–nan")
    assert "ranking.candidate.like.auc" not in flat_metrics(saved)
    assert retrieval_rows(saved) == retrieval_rows(EVALUATION)
    assert gains(saved) == gains(EVALUATION)


@pytest.mark.parametrize(("passed", "title"), [(True, "# Blessed"), (False, "# Not blessed")])
def test_the_page_begins_with_the_verdict(passed, title):
    page = markdown(EVALUATION | {"verdict": {"passed": passed, "reason": "because"}})
    assert page.startswith(f"{title}\n\nbecause.")


def test_the_page_has_every_table():
    page = markdown(EVALUATION)
    assert "| candidate | 0.2000 | 0.5000 | 0.1000 |" in page
    assert "| candidate | play | 0.7000 | 0.600–0.800 | 0.5000 | 0.0200 | 0.3000 |" in page
    assert "| overall | 100 | 0.7000 | 1.0000 |  |" in page
    assert "| play | content_type=audio book | 100 | 0.3000 | 0.3100 | 0.1000 |" in page
    assert "| play | 0.1000 | 0.2000 | 40 |\n| play | 0.4000 | 0.3500 | 60 |" in page
    assert "0.3100 | 60 |" not in page  # the table has the bins over all slices only
    assert "| surface=home | 60 | nan | 0.9000 | 0.4000 |" in page


def test_a_table():
    assert table(("a", "b"), [[1, 0.25], ["x", ""]]) == "| a | b |\n| --- | --- |\n| 1 | 0.2500 |\n| x |  |"


def test_gains_have_their_intervals():
    page = markdown(EVALUATION)
    assert "- recall@100 over popularity: +0.1000 (95 % interval +0.0500 to +0.1500)" in page
    assert "- sequence model, 100 of each over retrieval's 200: +0.0200 (95 % interval -0.0100 to +0.0500)" in page


def test_an_evaluation_without_a_sequence_model_has_a_page_too():
    without = {name: value for name, value in EVALUATION["retrieval"].items() if name != "sequence_as_a_source"}
    page = markdown(EVALUATION | {"retrieval": without})
    assert "recall@100 over popularity: +0.1000" in page
    assert "sequence" not in page


def test_off_policy_estimates_are_a_table_and_flat_figures():
    estimate = {"value": 0.5, "low": 0.4, "high": 0.6, "effective_sample_size": 12.0, "clipped": 0.0}
    estimated = {
        "impressions": 40,
        "logged": {"mean": 0.25, "low": 0.2, "high": 0.3},
        "policies": {"candidate": {"ips": estimate, "snips": estimate}},
    }
    evaluation = EVALUATION | {"off_policy": estimated}
    assert flat_metrics(evaluation)["off_policy.candidate.snips.value"] == 0.5
    assert "| candidate | snips | 0.5000 | 0.4000–0.6000 | 12.0000 |" in markdown(evaluation)
    assert "Off-policy" not in markdown(EVALUATION | {"off_policy": {}})
