"""One workload a function: a training set's folder in, a SavedModel or an evaluation out.

A training set's folder holds `train`, `validation`, `test` (labelled examples by global time),
`items_at_test` (the catalogue as of the test span's start), `items_now` (as of the newest snapshot),
all Parquet, and `manifest.json`.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models import ranking, retrieval
from models.config import TrainingConfig
from models.evaluation import evaluate_retrieval, load_axes, predict_ranking, ranking_metrics, sample
from models.examples import mask, ranking_arrays, retrieval_arrays
from models.export import export_ranking, export_retrieval, read_card
from models.features import Encoder, fit_axes, number
from models.gate import bless, primary_head
from models.raw import raw_query
from models.slices import slice_columns
from models.training import Arrays
from segue.files import read_json

REPEATS = 0.05  # share of positives heard before, from which a catalogue is one that people replay
ANALYSED_ROWS = 20_000  # examples of the slice analysis; Beam handles them one by one
REQUESTS = 16  # of each model: infra validation sends them, and the pushed version is warmed up with them
REQUEST_CANDIDATES = 50


def read_part(training_set: Path, name: str) -> pa.Table:
    """One part of a training set."""
    return pq.read_table(training_set / f"{name}.parquet")


def repeat_share(table: pa.Table) -> float:
    """Share of the positives whose item is already in the listener's history."""
    positives = table.filter(table["positive"])
    if positives.num_rows == 0:
        return 0.0
    history = positives["history_items"].combine_chunks()
    lengths = pc.list_value_length(history).to_numpy()
    rows = np.repeat(np.arange(positives.num_rows), lengths)
    own = positives["item_id"].combine_chunks().take(pa.array(rows))
    hits = pc.equal(pc.list_flatten(history), own).to_numpy(zero_copy_only=False)
    return float(len(np.unique(rows[hits])) / positives.num_rows)


def lineage(training_set: Path, run_id: str, config: TrainingConfig) -> dict:
    """What a model was made from."""
    manifest = read_json(training_set / "manifest.json")
    known = {name: manifest[name] for name in ("dataset", "sha256", "split")}
    return {**known, "run_id": run_id, "config": config.to_dict()}


def train_retrieval(training_set: Path, run_id: str, config: TrainingConfig, out: Path) -> dict:
    """Train retrieval and write its SavedModel to `out`.

    Returns:
        `loss` and `val_loss` by epoch, `repeat_share`.
    """
    train, validation = (read_part(training_set, name) for name in ("train", "validation"))
    encoder = Encoder(fit_axes(train))
    fitted, held_out = (retrieval_arrays(part, encoder) for part in (train, validation))
    model, history = retrieval.fit(fitted, held_out, encoder, config.retrieval, config.seed)
    repeats = repeat_share(train)
    made_from = lineage(training_set, run_id, config)
    export_retrieval(model, read_part(training_set, "items_now"), repeats < REPEATS, made_from, out)
    return {**history, "repeat_share": repeats}


def train_ranking(training_set: Path, run_id: str, config: TrainingConfig, out: Path) -> dict:
    """Train ranking and write its SavedModel to `out`.

    Returns:
        `loss` and `val_loss` by epoch, and the `reward` that is served.
    """
    train, validation = (read_part(training_set, name) for name in ("train", "validation"))
    encoder = Encoder(fit_axes(train))
    fitted, held_out = (ranking_arrays(part, encoder) for part in (train, validation))
    model, history = ranking.fit(fitted, held_out, encoder, config.ranking, config.seed)
    # A head without labels has learned nothing and has no say in the reward.
    reward = {h: w if fitted[f"weight_{h}"].any() else 0.0 for h, w in config.ranking.reward.items()}
    made_from = lineage(training_set, run_id, config)
    export_ranking(model, read_part(training_set, "items_now"), reward, made_from, out)
    return {**history, "reward": reward}


def served_champion(served: dict[str, Path], candidate: Path) -> dict[str, Path] | None:
    """The served models, if they were made from the candidate's data set; only those compare."""
    if set(served) < {"retrieval", "ranking"}:
        return None
    known = {read_card(path)["dataset"] for path in served.values()}
    return served if known == {read_card(candidate)["dataset"]} else None


def evaluate(
    training_set: Path,
    candidate: dict[str, Path],
    champion: dict[str, Path] | None,
    config: TrainingConfig,
    analysis: Path,
) -> dict:
    """Evaluate a candidate pair of models on held-out time, against popularity and the champion.

    Args:
        training_set: the run's training set.
        candidate: SavedModels by name: `retrieval`, `ranking`.
        champion: the same of what is served now, None if there is nothing of this data set.
        config: seed and limits.
        analysis: a folder for the model analysis.

    Returns:
        `retrieval`, `ranking` (metrics by model), `analysis` (slices of the primary head) and the
        `verdict`.
    """
    from models.model_analysis import analyze

    train, validation, test, items = (
        read_part(training_set, name) for name in ("train", "validation", "test", "items_at_test")
    )
    before = pa.concat_tables([train, validation])
    contestants = {"candidate": candidate} | ({"champion": champion} if champion else {})
    found = evaluate_retrieval(
        {name: models["retrieval"] for name, models in contestants.items()},
        before,
        test,
        items,
        read_card(candidate["retrieval"])["filter_seen"],
        config.seed,
    )
    predictions = {name: predict_ranking(models["ranking"], test) for name, models in contestants.items()}
    heads = {name: ranking_metrics(p, test) for name, p in predictions.items()}
    head = primary_head(heads["candidate"])
    rows = np.flatnonzero(mask(test, head))
    drawn = sample(test.take(pa.array(rows)).append_column("row", pa.array(rows)), ANALYSED_ROWS, config.seed)
    kept = drawn["row"].to_numpy()
    slices = analyze(
        number(drawn[f"label_{head}"]),
        {name: p[head][kept] for name, p in predictions.items()},
        slice_columns(drawn, set(pc.unique(train["item_id"]).to_pylist())),
        analysis,
        config.limits.slice_auc,
        config.limits.slice_examples,
    )
    verdict = bless(found, heads, config.limits, slices["failures"])
    return {"retrieval": found, "ranking": heads, "analysis": {"head": head, **slices}, "verdict": verdict}


def sample_requests(
    training_set: Path, saved_models: dict[str, Path], seed: int, count: int = REQUESTS
) -> dict[str, list[Arrays]]:
    """Real requests for the served signatures, from the test span: one listener each."""
    rows = sample(read_part(training_set, "test"), count, seed)
    ids = read_part(training_set, "items_now")["item_id"].to_pylist()
    drawn = np.random.default_rng(seed).choice(ids, (count, min(REQUEST_CANDIDATES, len(ids))))
    requests: dict[str, list[Arrays]] = {"retrieval": [], "ranking": []}
    query = raw_query(rows, load_axes(saved_models["retrieval"]))
    for row in range(rows.num_rows):
        one = {name: value[row : row + 1] for name, value in query.items()}
        requests["retrieval"].append(one)
        requests["ranking"].append({**one, "candidate_ids": drawn[row : row + 1].astype(object)})
    return requests
