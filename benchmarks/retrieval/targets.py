"""Targets of Segue's retrieval."""

from typing import Any

from benchmarks.results import target

MOVIELENS = "movielens-100k"
FIGURES = ("recall@20", "recall@100", "ndcg@10")
TIMES_TUTORIAL, TIMES_RANDOM = 3.0, 5.0
# On MovieLens 100K. NDCG@10 is set above the figures of papers, top-100 accuracy above the tutorial's.
NDCG, ACCURACY = 0.45, 0.30


def targets(data: str, splits: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Figures beside their limits; a target whose models or split were not run is left out.

    Args:
        data: name of the data set.
        splits: the figures by split and model.
    """
    targets = time_targets(splits.get("time", {}))
    if data == MOVIELENS:
        lists, tutorial = splits.get("random_75_25", {}), splits.get("random_80_20", {})
        if "segue" in lists:
            targets["random_75_25_ndcg@10"] = target(lists["segue"]["ndcg@10"]["mean"], at_least=NDCG)
        recalls = [tutorial[name]["recall@100"]["mean"] for name in ("segue", "segue_retrieval") if name in tutorial]
        if recalls:
            targets["random_80_20_recall@100"] = target(max(recalls), at_least=ACCURACY)
    return targets


def time_targets(split: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Targets of the time split.

    `first_…`: the best model's figure must not lie above the 95 % interval of Segue's two stages.
    """
    targets = {}
    models = {name: figures for name, figures in split.items() if "train_seconds" in figures}
    if "segue" in models:
        for figure in FIGURES:
            best = max(figures[figure]["mean"] for figures in models.values())
            targets[f"first_{figure}"] = target(best, at_most=models["segue"][figure]["high"])
    retrieval, tutorial = models.get("segue_retrieval"), models.get("tfrs_tutorial")
    if retrieval and tutorial:
        times = retrieval["examples_per_second"] / tutorial["examples_per_second"]
        targets["throughput_times_tutorial"] = target(times, at_least=TIMES_TUTORIAL)
        recall = tutorial["recall@100"]["mean"]
        targets["recall@100_beside_tutorial"] = target(retrieval["recall@100"]["mean"], at_least=recall)
    ratio = split.get("new_items", {}).get("segue_retrieval", {}).get("ratio")
    if ratio is not None:
        targets["new_items_times_random"] = target(ratio, at_least=TIMES_RANDOM)
    return targets
