"""Where runs are recorded: in MLflow's database of the home, or where the settings say."""

from segue.settings import Home
from stores.settings import settings


def tracking_uri(home: Home) -> str:
    """Return the address of MLflow: the setting `tracking`, or the database in the home."""
    return settings().tracking or home.own_tracking_uri


def artifact_location(home: Home) -> str | None:
    """Return the place where a new experiment keeps its files; None leaves the choice to a server of MLflow."""
    now = settings()
    if now.tracking and now.tracking.startswith(("http:", "https:")):
        return None
    return f"{now.objects}/mlflow" if now.clustered else home.tracking_artifacts.resolve().as_uri()
