"""What is asked of Segue's retrieval."""

from typing import Any

from benchmarks.serving.process import target

MOVIELENS = "movielens-100k"
FIGURES = ("recall@20", "recall@100", "ndcg@10")
TIMES_TUTORIAL, TIMES_RANDOM = 3.0, 5.0
NDCG, ACCURACY = 0.45, 0.30  # at MovieLens 100K: above what papers report, and above the tutorial's


def targets(data: str, splits: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Figures beside their limits; what a run left out is missing.

    Args:
        data: name of the data set.
        splits: by split and model, what was measured.
    """
    found = on_time(splits.get("time", {}))
    if data == MOVIELENS:
        lists, tutorial = splits.get("random_75_25", {}), splits.get("random_80_20", {})
        if "segue" in lists:
            found["random_75_25_ndcg@10"] = target(lists["segue"]["ndcg@10"]["mean"], least=NDCG)
        recalls = [tutorial[name]["recall@100"]["mean"] for name in ("segue", "segue_retrieval") if name in tutorial]
        if recalls:
            found["random_80_20_recall@100"] = target(max(recalls), least=ACCURACY)
    return found


def on_time(split: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is asked on the time split: to be first, or to have the first within one's own interval."""
    found = {}
    measured = {name: figures for name, figures in split.items() if "train_seconds" in figures}
    if "segue" in measured:
        for figure in FIGURES:
            first = max(figures[figure]["mean"] for figures in measured.values())
            found[f"first_{figure}"] = target(first, most=measured["segue"][figure]["high"])
    retrieval, tutorial = measured.get("segue_retrieval"), measured.get("tfrs_tutorial")
    if retrieval and tutorial:
        times = retrieval["examples_per_second"] / tutorial["examples_per_second"]
        found["throughput_times_tutorial"] = target(times, least=TIMES_TUTORIAL)
        least = tutorial["recall@100"]["mean"]
        found["recall@100_beside_tutorial"] = target(retrieval["recall@100"]["mean"], least=least)
    ratio = split.get("new_items", {}).get("segue_retrieval", {}).get("ratio")
    if ratio is not None:
        found["new_items_times_random"] = target(ratio, least=TIMES_RANDOM)
    return found
