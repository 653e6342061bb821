"""An evaluation as tables and a Markdown page, and as flat metrics for MLflow."""

import math
import re
from typing import Any

from models.evaluation.slices import OVERALL


def flat_metrics(evaluation: dict[str, Any]) -> dict[str, float]:
    """The main figures of an evaluation by flat name, such as `ranking.candidate.play.auc`, without nan and null."""
    flat = {
        f"retrieval.{model}.{name}": value
        for model, metrics in evaluation["retrieval"]["models"].items()
        for name, value in metrics.items()
    }
    flat |= {
        f"retrieval.recall_at_100_over_popularity.{name}": value
        for name, value in evaluation["retrieval"]["recall_at_100_over_popularity"].items()
    }
    flat |= {
        f"retrieval.sequence_as_a_source.{figure}.{name}": value
        for figure, gain in evaluation["retrieval"]["sequence_as_a_source"].items()
        for name, value in gain.items()
    }
    flat |= {
        f"ranking.{model}.{head}.{name}": value
        for model, heads in evaluation["ranking"].items()
        for head, metrics in heads.items()
        for name, value in metrics.items()
    }
    flat |= {
        f"calibration.{head}.{mlflow_name(part)}.ece": m["ece"]
        for head, parts in evaluation["calibration"].items()
        for part, m in parts.items()
    }
    flat |= {
        f"off_policy.{policy}.{estimator}.{name}": value
        for policy, estimators in evaluation.get("off_policy", {}).get("policies", {}).items()
        for estimator, figures in estimators.items()
        for name, value in figures.items()
    }
    return {name: float(value) for name, value in flat.items() if value is not None and value == value}


def number(figure: float | None) -> float:
    """A figure of an evaluation that may have been read from JSON, where null stands for nan."""
    return math.nan if figure is None else figure


def mlflow_name(name: str) -> str:
    """A slice's name in the characters that MLflow allows: `surface=home` becomes `surface.home`."""
    return re.sub(r"[^\w.-]", "_", name.replace("=", "."))


def retrieval_rows(evaluation: dict[str, Any]) -> list[list]:
    """Rows of the retrieval table, by `RETRIEVAL_COLUMNS`."""
    names = ("recall_at_10", "recall_at_100", "ndcg_at_10")
    models = evaluation["retrieval"]["models"]
    return [[model, *(number(models[model][name]) for name in names)] for model in models]


def ranking_rows(evaluation: dict[str, Any]) -> list[list]:
    """Rows of the ranking table, by `RANKING_COLUMNS`."""
    rows = []
    for model, heads in evaluation["ranking"].items():
        for head, figures in heads.items():
            m = {name: number(value) for name, value in figures.items()}
            interval = f"{m['auc_low']:.3f}–{m['auc_high']:.3f}"
            rows.append([model, head, m["auc"], interval, m["log_loss"], m["ece"], m["label_mean"]])
    return rows


def slice_rows(evaluation: dict[str, Any]) -> list[list]:
    """Rows of the slice table, by `SLICE_COLUMNS`; AUC and calibration are of the primary head."""
    recall = evaluation["retrieval"]["slices"]
    return [
        [name, m["examples"], m["auc"], m["calibration"], recall.get(name, {}).get("candidate", "")]
        for name, m in sorted(evaluation["analysis"]["slices"].items())
    ]


def calibration_rows(evaluation: dict[str, Any]) -> list[list]:
    """The rows of the calibration table, with the columns `CALIBRATION_COLUMNS`."""
    return [
        [head, name, m["examples"], m["prediction_mean"], m["label_mean"], m["ece"]]
        for head, parts in evaluation["calibration"].items()
        for name, m in parts.items()
    ]


def reliability_rows(evaluation: dict[str, Any]) -> list[list]:
    """Rows of the reliability table, by `RELIABILITY_COLUMNS`: a bin each, over all slices together."""
    return [
        [head, *bin_]
        for head, parts in evaluation["calibration"].items()
        for bin_ in parts.get(OVERALL, {"reliability": []})["reliability"]
    ]


def off_policy_rows(evaluation: dict[str, Any]) -> list[list]:
    """Rows of the off-policy table, by `OFF_POLICY_COLUMNS`; none if the log has no propensities."""
    estimated = evaluation.get("off_policy")
    if not estimated:
        return []
    logged = estimated["logged"]
    interval = f"{logged['low']:.4f}–{logged['high']:.4f}"
    rows: list[list] = [["the log", "mean", logged["mean"], interval, float(estimated["impressions"])]]
    for policy, estimators in estimated["policies"].items():
        for estimator, m in estimators.items():
            interval = f"{m['low']:.4f}–{m['high']:.4f}"
            rows.append([policy, estimator, m["value"], interval, m["effective_sample_size"]])
    return rows


def gains(evaluation: dict[str, Any]) -> list[str]:
    """The gain over popularity and the gains of the sequence model as a second source, a sentence each."""
    retrieval = evaluation["retrieval"]
    titles = {
        "recall_at_100": "its recall@100 over retrieval's",
        "merged_recall_at_200": "100 of each over retrieval's 200",
    }
    by_title = {"recall@100 over popularity": retrieval["recall_at_100_over_popularity"]}
    for name, gain in retrieval.get("sequence_as_a_source", {}).items():
        by_title[f"sequence model, {titles[name]}"] = gain
    return [
        f"{title}: {mean:+.4f} (95 % interval {low:+.4f} to {high:+.4f})"
        for title, gain in by_title.items()
        for mean, low, high in [[number(gain[name]) for name in ("mean", "low", "high")]]
    ]


RETRIEVAL_COLUMNS = ("model", "recall@10", "recall@100", "NDCG@10")
RANKING_COLUMNS = ("model", "head", "AUC", "95 % interval", "log loss", "ECE", "label mean")
SLICE_COLUMNS = ("slice", "examples", "AUC", "calibration", "recall@100")
OFF_POLICY_COLUMNS = ("what is shown", "estimate", "reward of an impression", "95 % interval", "effective sample")
CALIBRATION_COLUMNS = ("head", "slice", "examples", "prediction mean", "label mean", "ECE")
RELIABILITY_COLUMNS = ("head", "prediction mean", "label mean", "examples")


def markdown(evaluation: dict[str, Any]) -> str:
    """An evaluation as a Markdown page."""
    verdict = evaluation["verdict"]
    parts = [
        f"# {'Blessed' if verdict['passed'] else 'Not blessed'}\n\n{verdict['reason']}.",
        f"## Retrieval\n\n{evaluation['retrieval']['examples']} held-out positives.",
        table(RETRIEVAL_COLUMNS, retrieval_rows(evaluation)),
        "\n".join(f"- {sentence}" for sentence in gains(evaluation)),
        "## Ranking",
        table(RANKING_COLUMNS, ranking_rows(evaluation)),
        f"## Slices (AUC of {evaluation['analysis']['head']}, recall@100 of the candidate)",
        table(SLICE_COLUMNS, slice_rows(evaluation)),
        "## Calibration of the candidate\n\nECE: the mean distance between predicted and observed shares, over bins.",
        table(CALIBRATION_COLUMNS, calibration_rows(evaluation)),
        "## Reliability of the candidate, lowest predictions first",
        table(RELIABILITY_COLUMNS, reliability_rows(evaluation)),
    ]
    if rows := off_policy_rows(evaluation):
        parts += [
            "## Off-policy: an item of the model's first ten in each place of the log\n\nBy the propensities of the "
            "log. Items that it would never show count 0 in IPS and not at all in SNIPS.",
            table(OFF_POLICY_COLUMNS, rows),
        ]
    return "\n\n".join(parts) + "\n"


def table(columns, rows) -> str:
    """A Markdown table; floats have four decimals."""
    cells = [[f"{c:.4f}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
