"""Features of a request: what only the pairing of a listener, an item and an instant can tell."""

import pandas as pd


def request_features(inputs: pd.DataFrame) -> pd.DataFrame:
    """Genre affinity and item age for each row.

    Args:
        inputs: `genre_shares` and `genre_weights` (lists of equal length, or null), `release_ts`
            and `request_ts` (seconds since the epoch).

    Returns:
        `genre_affinity`: the dot product of the listener's genre shares and the item's genre
        weights, 0 where either is unknown. `age_at_request_days`: days from release to request,
        at least 0; -1 where the release is unknown.
    """
    # Feast rebuilds this function from its source text alone, so it carries its own imports.
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
    age = np.where(release == 0, -1.0, np.maximum((request - release) / 86_400, 0.0))
    return pd.DataFrame({"genre_affinity": affinity.astype(np.float32), "age_at_request_days": age.astype(np.float32)})
