"""Targets of Segue's sequence model, and of the SASRec that it is compared with."""

from typing import Any

from benchmarks.results import target

FIGURES = ("hr@10", "ndcg@10")
MOVIELENS_1M = {"listeners": 6040, "items": 3416}  # the sequences of MovieLens 1M, whatever the file's name
PUBLISHED_SASREC = {"hr@10": 0.239, "ndcg@10": 0.126}  # with one negative, on MovieLens 1M
SHARE_OF_PUBLISHED = 0.95


def targets(data: dict[str, Any], models: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Figures beside their limits; a target whose models were not run is left out.

    `first_…`: the best model's figure must not lie above the 95 % interval of Segue's dense head. On MovieLens 1M,
    SASRec must reach 95 % of its published figures, so that Segue is not compared with a weak copy.

    Args:
        data: sizes of the data set.
        models: the figures by model.
    """
    limits = {}
    if "segue_dense" in models:
        for figure in FIGURES:
            best = max(figures[figure] for figures in models.values())
            limits[f"first_{figure}"] = target(best, at_most=models["segue_dense"]["intervals"][figure]["high"])
    if "sasrec_one_negative" in models and all(data[name] == size for name, size in MOVIELENS_1M.items()):
        for figure, published in PUBLISHED_SASREC.items():
            measured = models["sasrec_one_negative"][figure]
            limits[f"sasrec_one_negative_{figure}"] = target(measured, at_least=SHARE_OF_PUBLISHED * published)
    return limits
