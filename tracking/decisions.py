"""Record decisions in MLflow, each as a run of its own."""

from collections.abc import Sequence
from typing import Any

from segue.settings import Home
from tracking.address import artifact_location, tracking_uri
from tracking.client import connect, text_of
from tracking.moved_home import relocate
from tracking.runs import earlier_attempt, log_run, text_tags

DECISIONS = "segue-monitoring"  # name of the MLflow experiment


def log_decisions(home: Home, decisions: Sequence[dict[str, Any]]) -> tuple[int, str]:
    """Send decisions to MLflow until it takes no more. A decision that it has already is not sent again.

    Args:
        home: the home of the decisions.
        decisions: each has a `name`, which is its own, `tags`, and `metrics` by name.

    Returns:
        How many MLflow has, counted from the first, and why it does not have the rest; empty if it has all.
    """
    sent = 0
    try:
        home.mlflow.mkdir(parents=True, exist_ok=True)
        relocate(home.tracking_database, home.tracking_artifacts)
        client = connect(tracking_uri(home))
        for decision in decisions:
            tags = text_tags(decision["tags"])
            if earlier_attempt(client, DECISIONS, decision["name"], tags) is None:
                log_run(client, DECISIONS, artifact_location(home), decision["name"], {}, decision["metrics"], tags, [])
            sent += 1
    except Exception as error:  # MLflow raises whatever its transport raises
        return sent, text_of(error)
    return sent, ""
