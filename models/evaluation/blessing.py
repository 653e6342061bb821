"""The blessing: the gate between the evaluation and the push."""

from dataclasses import asdict
from typing import Any

from models.training_config import Limits
from segue.errors import InputError
from segue.verdict import Verdict


def primary_head(ranking: dict[str, dict]) -> str:
    """The head whose AUC the gate checks: `play`, else `like`, else the first; only heads with both labels count.

    Args:
        ranking: a model's metrics by head, as `ranking_metrics` returns them.

    Raises:
        InputError: no head has both labels in the span.
    """
    heads = [head for head, metrics in ranking.items() if 0 < metrics["label_mean"] < 1]
    if not heads:
        raise InputError(
            "Ranking is judged by a label that is 1 for some events and 0 for others; the span has none.",
            "Check how actions were mapped to labels.",
        )
    return next((head for head in ("play", "like") if head in heads), heads[0])


def bless(retrieval: dict, ranking: dict[str, dict[str, dict]], limits: Limits, failed_slices: list[str]) -> Verdict:
    """Decide whether a candidate may be pushed.

    Args:
        retrieval: the result of `evaluate_retrieval`.
        ranking: metrics by head of `candidate` and, if there is one, of `champion`.
        limits: what the candidate must reach.
        failed_slices: a sentence for each slice that the model analysis found below its limit.

    Returns:
        The verdict. Its figures: `checks` (each with `name`, `figure`, `limit`, `passed` and `sentence`) and
        `failed_slices`. Its limits: those of the configuration.
    """
    head = primary_head(ranking["candidate"])
    candidate = ranking["candidate"][head]
    gain = retrieval["recall_at_100_over_popularity"]
    checks = [
        check(f"ranking AUC of {head}, low end of the interval", candidate["auc_low"], limits.auc),
        check("recall@100 over popularity, low end of the interval", gain["low"], limits.recall_gain),
    ]
    if "champion" in ranking and head in ranking["champion"]:
        floor = ranking["champion"][head]["auc"] - limits.auc_drop
        checks.append(check(f"ranking AUC of {head} against the champion's", candidate["auc"], floor))
    models = retrieval["models"]
    pairs = (("recall@100", "candidate", "champion"), ("recall@100 of sequence", "sequence", "champion_sequence"))
    for name, challenger, champion in pairs:
        if champion in models:
            floor = models[champion]["recall_at_100"] * (1 - limits.recall_drop)
            checks.append(check(f"{name} against the champion's", models[challenger]["recall_at_100"], floor))
    failures = [c["sentence"] for c in checks if not c["passed"]] + failed_slices
    return Verdict(
        passed=not failures,
        reason="; ".join(failures) or f"all {len(checks)} limits hold",
        figures={"checks": checks, "failed_slices": failed_slices},
        limits=asdict(limits),
    )


def check(name: str, figure: float, limit: float) -> dict[str, Any]:
    """Compare a figure with its lower limit; nan never passes."""
    passed = bool(figure >= limit)
    sentence = f"{name} is {figure:.4f}, the limit is {limit:.4f}"
    return {"name": name, "figure": figure, "limit": limit, "passed": passed, "sentence": sentence}
