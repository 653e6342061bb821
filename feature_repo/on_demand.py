"""Features of a request: they depend on the listener, the item and the time of the request together."""

import inspect

import pandas as pd

from feature_repo.item_age import age_in_days


def request_features(inputs: pd.DataFrame) -> pd.DataFrame:
    """Compute genre affinity and item age for each row.

    Args:
        inputs: `genre_shares` and `genre_weights` (lists of equal length, or null), `release_ts`
            and `request_ts` (seconds since 1970 UTC).

    Returns:
        `genre_affinity`: the dot product of the listener's genre shares and the item's genre
        weights, 0 where either is unknown. `age_at_request_days`: see `item_age.age_in_days`.
    """
    # Feast rebuilds this function from `source_text()` alone, without this module's imports.
    import numpy as np
    import pandas as pd

    def matrix(column):
        width = max((len(v) for v in column if v is not None), default=0)
        zeros = np.zeros(width, np.float32)
        filled = [zeros if v is None or len(v) == 0 else v for v in column]
        return np.asarray(filled, dtype=np.float32).reshape(len(column), width)

    shares, weights = matrix(inputs["genre_shares"]), matrix(inputs["genre_weights"])
    width = min(shares.shape[1], weights.shape[1])
    affinity = (shares[:, :width] * weights[:, :width]).sum(axis=1)
    release = pd.to_numeric(inputs["release_ts"]).fillna(0).to_numpy(dtype=np.int64)
    request = pd.to_numeric(inputs["request_ts"]).to_numpy(dtype=np.int64)
    age = age_in_days(release, request, np.where, np.maximum)
    return pd.DataFrame({"genre_affinity": affinity.astype(np.float32), "age_at_request_days": age.astype(np.float32)})


def source_text() -> str:
    """Return the source text by which Feast's registry keeps `request_features`, with the function that it calls.

    `request_features` comes first: Feast takes the first function of the text if it does not know a name.
    """
    return "\n\n".join(inspect.getsource(function) for function in (request_features, age_in_days))
