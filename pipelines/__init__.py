"""The pipelines: they only wire components; the local and the cluster runner."""

import importlib
from typing import Any

PIPELINES = {
    "training": "pipelines.training:training",
    "monitoring": "pipelines.monitoring:monitoring",
    "search": "pipelines.search:search",
}

# The steps that a full run goes through, in order: for the progress that a person sees. A search has one more a trial.
STEPS = {
    "training": (
        "ingest", "build-features", "training-set", "validate-data", "refresh-online", "train-retrieval",
        "train-sequence", "train-ranking", "evaluate", "infra-validate", "register", "push", "report",
    ),
    "monitoring": ("ingest", "build-features", "training-set", "detect-drift", "report"),
    "search": ("ingest", "build-features", "training-set", "plan-trials", "choose-trial", "report"),
}  # fmt: skip


def load(target: str) -> Any:
    """The pipeline that `module:name` names."""
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)
