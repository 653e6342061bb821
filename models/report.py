"""An evaluation as a person reads it, and as a tracker keeps it."""

from typing import Any


def flat_metrics(evaluation: dict[str, Any]) -> dict[str, float]:
    """The headline figures of an evaluation by one flat name each."""
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
        f"ranking.{model}.{head}.{name}": value
        for model, heads in evaluation["ranking"].items()
        for head, metrics in heads.items()
        for name, value in metrics.items()
    }
    return {name: float(value) for name, value in flat.items() if value == value}


def retrieval_rows(evaluation: dict[str, Any]) -> list[list]:
    """Rows of the retrieval table: model, recall@10, recall@100, NDCG@10."""
    names = ("recall_at_10", "recall_at_100", "ndcg_at_10")
    models = evaluation["retrieval"]["models"]
    return [[model, *(models[model][name] for name in names)] for model in models]


def ranking_rows(evaluation: dict[str, Any]) -> list[list]:
    """Rows of the ranking table: model, head, AUC, its interval, log loss, mean label."""
    return [
        [model, head, m["auc"], f"{m['auc_low']:.4f} to {m['auc_high']:.4f}", m["log_loss"], m["label_mean"]]
        for model, heads in evaluation["ranking"].items()
        for head, m in heads.items()
    ]


def slice_rows(evaluation: dict[str, Any]) -> list[list]:
    """Rows of the slice table: slice, examples, AUC and calibration of the primary head, recall@100."""
    recall = evaluation["retrieval"]["slices"]
    return [
        [name, m["examples"], m["auc"], m["calibration"], recall.get(name, {}).get("candidate", "")]
        for name, m in sorted(evaluation["analysis"]["slices"].items())
    ]


RETRIEVAL_COLUMNS = ("model", "recall@10", "recall@100", "NDCG@10")
RANKING_COLUMNS = ("model", "head", "AUC", "95 % interval", "log loss", "label mean")
SLICE_COLUMNS = ("slice", "examples", "AUC", "calibration", "recall@100")


def markdown(evaluation: dict[str, Any]) -> str:
    """An evaluation as a page."""
    verdict = evaluation["verdict"]
    gain = evaluation["retrieval"]["recall_at_100_over_popularity"]
    parts = [
        f"# {'Blessed' if verdict['passed'] else 'Not blessed'}\n\n{verdict['reason']}.",
        f"## Retrieval\n\n{evaluation['retrieval']['examples']} held-out positives; recall@100 over popularity "
        f"{gain['mean']:.4f} (95 % interval {gain['low']:.4f} to {gain['high']:.4f}).",
        table(RETRIEVAL_COLUMNS, retrieval_rows(evaluation)),
        "## Ranking",
        table(RANKING_COLUMNS, ranking_rows(evaluation)),
        f"## Slices (AUC of {evaluation['analysis']['head']}, recall@100 of the candidate)",
        table(SLICE_COLUMNS, slice_rows(evaluation)),
    ]
    return "\n\n".join(parts) + "\n"


def table(columns, rows) -> str:
    """A Markdown table; floats with four decimals."""
    cells = [[f"{c:.4f}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
