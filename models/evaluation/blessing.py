"""The blessing: a verdict with the figures, the limits and the reason in one sentence."""

from dataclasses import asdict

from models.training_config import Limits
from segue.errors import InputError


def primary_head(ranking: dict[str, dict]) -> str:
    """The head that the gate looks at: play-through if the log says what was played, else like.

    Raises:
        InputError: no head has a label in the test span.
    """
    if not ranking:
        raise InputError(
            "Ranking is judged by a label; the test span has none.", "Check how actions were mapped to labels."
        )
    return "play" if "play" in ranking else "like" if "like" in ranking else next(iter(ranking))


def bless(retrieval: dict, ranking: dict[str, dict[str, dict]], limits: Limits, slices: list[str]) -> dict:
    """Whether a candidate may be pushed.

    Args:
        retrieval: what `evaluate_retrieval` returned.
        ranking: metrics by head of `candidate` and, if there is one, `champion`.
        limits: what must be reached.
        slices: failures that the model analysis found, one sentence each.

    Returns:
        `passed`, `reason`, `checks` (each with `figure`, `limit`, `passed`), `limits`.
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
    for name, ours, theirs in pairs:
        if theirs in models:
            floor = models[theirs]["recall_at_100"] * (1 - limits.recall_drop)
            checks.append(check(f"{name} against the champion's", models[ours]["recall_at_100"], floor))
    failed = [c["sentence"] for c in checks if not c["passed"]] + slices
    reason = "; ".join(failed) if failed else f"all {len(checks)} limits hold"
    return {"passed": not failed, "reason": reason, "checks": checks, "limits": asdict(limits)}


def check(name: str, figure: float, limit: float) -> dict:
    """One figure against its least value; nan never passes."""
    passed = bool(figure >= limit)
    sentence = f"{name} is {figure:.4f}, the limit is {limit:.4f}"
    return {"name": name, "figure": figure, "limit": limit, "passed": passed, "sentence": sentence}
