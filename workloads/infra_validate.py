"""Infra-validate: load the candidates in the model server and send them real requests."""

from pathlib import Path

import numpy as np

from models.inputs.arrow_columns import sample
from models.inputs.feature_names import HISTORY_INPUTS
from models.inputs.raw_query import NO_FILTERS, raw_query
from models.inputs.shards import Arrays
from models.saved.card import load_axes
from serving.protocol import prediction_log
from serving.store.infra_validation import validate
from workloads.run import Run
from workloads.training_set import MODELS, read_part

REQUESTS = 16  # for each model
REQUEST_CANDIDATES = 50


def step(run: Run, training_set: Path, models: dict[str, Path], requests: Path) -> bool:
    """Return whether the model server can load and serve the run's models.

    Args:
        run: the pipeline run.
        training_set: the run's training set.
        models: the run's SavedModels by name.
        requests: the folder to write the requests to: for each model, a TFRecord file of `PredictionLog`.
    """
    with run.step(__name__) as result:
        sampled = sample_requests(training_set, models, run.config.seed)
        for model, model_requests in sampled.items():
            prediction_log.write(
                requests / model, [prediction_log.predict_log(model, inputs) for inputs in model_requests]
            )
        verdict = validate(models, sampled)
        result.update(verdict.to_dict())
        return verdict.passed


def sample_requests(
    training_set: Path, saved_models: dict[str, Path], seed: int, count: int = REQUESTS
) -> dict[str, list[Arrays]]:
    """Sample real requests for the served signatures from the test span, each for one listener."""
    rows = sample(read_part(training_set, "test"), count, seed)
    ids = read_part(training_set, "items_now")["item_id"].to_pylist()
    candidate_ids = np.random.default_rng(seed).choice(ids, (count, min(REQUEST_CANDIDATES, len(ids))))
    requests: dict[str, list[Arrays]] = {name: [] for name in MODELS}
    query = raw_query(rows, load_axes(saved_models["retrieval"]))
    for row in range(rows.num_rows):
        listener = {name: value[row : row + 1] for name, value in query.items()}
        requests["retrieval"].append(listener | NO_FILTERS)
        candidates = candidate_ids[row : row + 1].astype(object)
        scores = np.zeros(candidates.shape, np.float32)
        requests["ranking"].append(
            {**listener, "candidate_ids": candidates, "retrieval_scores": scores, "sequence_scores": scores}
        )
        requests["sequence"].append({name: listener[name] for name in HISTORY_INPUTS} | NO_FILTERS)
    return requests
