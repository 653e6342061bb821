"""Quality of predictions by outcomes: order within a page, and calibration.

They are judged on what listeners played or skipped, and within a page, because pages differ in who asked and when.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from events import schema
from monitoring.checks.measure import Measure


def quality(day: pd.DataFrame) -> Iterator[Measure]:
    """Yield the measures of quality, over all rows and for each surface.

    - `auc`: of the pairs of a played and a skipped item of a page, the share whose played item has the higher
      prediction; a tie counts half.
    - `ndcg`: the discounted gain of the played items in the order of the predictions, as a share of the best order
      (Järvelin and Kekäläinen 2002); pages with a play.
    - `calibration`: plays minus predicted plays, for each play or skip.

    Args:
        day: Rows of `monitoring.windows.rows` with a `prediction`.
    """
    heard = day["action"].isin([schema.PLAY, schema.SKIP]) & day["prediction"].notna() & (day["request"] >= 0)
    judged = pd.DataFrame({
        "page": day["request"], "prediction": day["prediction"], "played": day["action"] == schema.PLAY,
    })[heard]  # fmt: skip
    columns = pd.DataFrame(0.0, index=day.index, columns=["auc", "pairs", "ndcg", "pages", "bias", "heard"])
    columns.loc[judged.index, ["auc", "pairs"]] = ordered_pairs(judged)
    columns.loc[judged.index, ["ndcg", "pages"]] = gains(judged)
    columns.loc[judged.index, "bias"] = judged["played"] - judged["prediction"]
    columns.loc[judged.index, "heard"] = 1
    surfaces = {str(name): (day["surface"] == name).to_numpy() for name in day["surface"].cat.categories}
    for name, here in {"all surfaces": np.ones(len(day), bool), **surfaces}.items():
        for check, numerator, denominator in (
            ("auc", "auc", "pairs"),
            ("ndcg", "ndcg", "pages"),
            ("calibration", "bias", "heard"),
        ):
            yield Measure(check, name, columns[numerator].to_numpy() * here, columns[denominator].to_numpy() * here)


def ordered_pairs(judged: pd.DataFrame) -> np.ndarray:
    """Return for each played row the skipped rows of its page with a lower prediction, and all of them `[n, 2]`."""
    rows = judged.reset_index(drop=True).reset_index(names="row")
    pairs = rows[rows["played"]].merge(rows[~rows["played"]], on="page", suffixes=("", "_skipped"))
    higher = (pairs["prediction"] > pairs["prediction_skipped"]) + 0.5 * (
        pairs["prediction"] == pairs["prediction_skipped"]
    )
    count = len(rows)
    return np.stack([np.bincount(pairs["row"], weights, count) for weights in (higher, np.ones(len(pairs)))], axis=1)


def gains(judged: pd.DataFrame) -> np.ndarray:
    """Return for each played row its share of the page's best gain, and its share of the page, 1 in all `[n, 2]`."""
    pages = judged.groupby("page")
    rank = pages["prediction"].rank(method="first", ascending=False)
    plays = pages["played"].transform("sum")
    best = np.concatenate([[0], np.cumsum(1 / np.log2(np.arange(2, len(judged) + 2)))])[plays.to_numpy().astype(int)]
    played = judged["played"].to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.stack([played / np.log2(rank + 1) / best, played / plays], axis=1))
