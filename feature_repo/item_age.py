"""The age of an item in days: the one definition behind training, snapshots and requests."""

from typing import Any


# The annotations are quoted, because the source text must run where `Any` is not imported.
def age_in_days(release_ts: "Any", request_ts: "Any", where: "Any", maximum: "Any") -> "Any":
    """Return the days from an item's release to a request: 0 before the release, -1 where the release is unknown.

    The rule needs only arithmetic, a choice and a maximum, and takes the last two as arguments. So one definition
    computes NumPy arrays at a request and Ibis expressions over whole tables. It uses no name from outside of its
    body, because Feast's registry keeps its source text (see `feature_repo.on_demand`).

    Example: an item released at 86,400 (2 January 1970) is 1.5 days old at the request time 216,000.

    Args:
        release_ts: release in seconds since 1970 UTC. 0 stands for an unknown release, so an item dated
            1 January 1970 counts as unknown; catalogues use that date as a placeholder.
        request_ts: request in seconds since 1970 UTC.
        where: `numpy.where` or `ibis.ifelse`.
        maximum: `numpy.maximum` or `ibis.greatest`.
    """
    return where(release_ts == 0, -1.0, maximum((request_ts - release_ts) / 86_400, 0.0))
