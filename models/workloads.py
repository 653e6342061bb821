"""One workload a function: a training set's folder in, a SavedModel or an evaluation out.

A training set's folder holds `train`, `validation`, `test` (labelled examples by global time), `sequences` (what each
listener did in the train span), `items_at_validation`, `items_at_test` (the catalogue as of these spans' starts),
`items_now` (as of the newest snapshot), `negatives` (what uniform ones are drawn from), all Parquet, and
`manifest.json`, which also names the `genres`.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from events.schema import HEADS, LISTEN
from models import ranking, retrieval
from models.card import FORMAT, read_card
from models.colistening import plays
from models.columns import number
from models.config import TrainingConfig
from models.evaluation import (
    calibration_by_slice,
    evaluate_retrieval,
    load_axes,
    predict_ranking,
    ranking_metrics,
    sample,
)
from models.examples import mask, ranking_arrays, retrieval_arrays
from models.export import CHOICE, ServedRanking, export_ranking, export_retrieval
from models.features import AXES_COLUMNS, Encoder, fit_axes
from models.gate import bless, primary_head
from models.raw import raw_query
from models.shards import Arrays, Shards, read_parquet, write
from models.slices import slice_columns
from models.training import Model
from models.two_stage import candidate_lists, choices, fit_order
from models.warm_start import warm_start
from segue.errors import InputError
from segue.files import read_json

MODELS = ("retrieval", "ranking", "sequence")
REPEATS = 0.05  # share of positives heard before, from which a catalogue is one that people replay
ANALYSED_ROWS = 20_000  # examples of the slice analysis; Beam handles them one by one
REPEAT_ROWS = 200_000  # examples that this share is taken from
CHOICE_ROWS = 4_000  # positives that the choice head is fitted on
REQUESTS = 16  # of each model: infra validation sends them, and the pushed version is warmed up with them
REQUEST_CANDIDATES = 50
AXES = ("genres", "content_types")  # names, in the order in which features hold them
HISTORY_INPUTS = ("history_items", "history_actions", "history_times", "request_ts", "surface")
NO_FILTERS: Arrays = {  # of a request for candidates that asks for nothing in particular
    "k": np.zeros(1, np.int32),
    "content_types": np.full((1, 1), "", object),
    "released_after": np.zeros(1, np.int64),
    "market": np.full(1, "", object),
    "exclude_ids": np.full((1, 1), "", object),
    "heard": np.full(1, "", object),
}


def read_part(training_set: Path, name: str, columns: list[str] | None = None, rows: int | None = None) -> pa.Table:
    """One part of a training set, or some of its columns and first rows."""
    path = training_set / f"{name}.parquet"
    return pq.read_table(path, columns=columns) if rows is None else next(read_parquet(path, rows, columns))


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
    known = {name: manifest[name] for name in ("dataset", "sha256", "split", *AXES)}
    return {**known, "run_id": run_id, "config": config.to_dict()}


def encoder_of(training_set: Path) -> Encoder:
    """The encoder of a training set: vocabularies of its train span, and its catalogue."""
    train = read_parquet(training_set / "train.parquet", columns=AXES_COLUMNS)
    return Encoder(fit_axes(train), read_part(training_set, "items_now"))


def shards_of(training_set: Path, part: str, encode: Callable[[pa.Table], Arrays], folder: Path) -> Shards:
    """A part of a training set, encoded to disk a bounded number of rows at a time."""
    return write(read_parquet(training_set / f"{part}.parquet"), encode, folder / part)


def starts_warm(champion: Path | None) -> Callable[[Model], object]:
    """What prepares a new model: the champion's weights, if there is one."""
    return lambda model: warm_start(model, champion) if champion else None


def train_retrieval(
    training_set: Path,
    run_id: str,
    config: TrainingConfig,
    out: Path,
    champion: Path | None = None,
    checkpoints: Path | None = None,
) -> dict:
    """Train retrieval and write its SavedModel to `out`.

    Args:
        training_set: the run's.
        run_id: goes into the card.
        config: sizes, rates and seed.
        out: a folder that does not stand yet.
        champion: a retrieval SavedModel to start from.
        checkpoints: a folder that training resumes from.

    Returns:
        `loss`, `val_loss`, `judged`, `seconds`, `examples_per_second` by epoch, and `repeat_share`.

    Raises:
        InputError: a part without a positive.
    """
    encoder = encoder_of(training_set)
    encode = lambda table: retrieval_arrays(table, encoder, config.retrieval.positives)  # noqa: E731
    pool = encoder.item_table(known_negatives(training_set, encoder))
    items = encoder.item_table(read_part(training_set, "items_at_validation"))
    with TemporaryDirectory(prefix="segue-shards-") as folder:
        train, validation = (shards_of(training_set, p, encode, Path(folder)) for p in ("train", "validation"))
        for name, part in (("train", train), ("validation", validation)):
            if part.rows == 0:
                raise InputError(
                    f"Retrieval needs at least one positive in every part; the {name} part has none.",
                    "Check the importer's mapping of actions and `retrieval.positives`, or import a longer log.",
                )
        model, history = retrieval.fit(
            train, validation, pool, items, encoder, config.retrieval, config.seed, checkpoints, starts_warm(champion)
        )
    repeats = repeat_share(read_part(training_set, "train", ["positive", "history_items", "item_id"], REPEAT_ROWS))
    made_from = lineage(training_set, run_id, config)
    export_retrieval(model, read_part(training_set, "items_now"), repeats < REPEATS, made_from, out)
    return {**history, "repeat_share": repeats}


def known_negatives(training_set: Path, encoder: Encoder) -> pa.Table:
    """The negatives that somebody has ever played: what is new has had no chance, and is not held against it."""
    negatives = read_part(training_set, "negatives")
    known = pa.array(encoder.axes.tokens["item_id"])
    return negatives.filter(pc.is_in(negatives["item_id"], known))


def train_ranking(
    training_set: Path,
    sources: dict[str, Path],
    run_id: str,
    config: TrainingConfig,
    out: Path,
    champion: Path | None = None,
    checkpoints: Path | None = None,
) -> dict:
    """Train ranking and write its SavedModel to `out`.

    Args:
        training_set: the run's.
        sources: the SavedModels whose candidates it is to rank: `retrieval` and, if it is asked too, `sequence`;
            without any `choice` keeps the order of the retrieval scores that a request brings.
        run_id: goes into the card.
        config: sizes, rates and seed.
        out: a folder that does not stand yet.
        champion: a ranking SavedModel to start from.
        checkpoints: a folder that training resumes from.

    Returns:
        `loss`, `val_loss`, `judged`, `seconds`, `examples_per_second` by epoch, the `reward` that is served, and
        `choice`, how the choice head was fitted and what the sequence model's figures are worth to it.
    """
    encoder = encoder_of(training_set)
    encode = lambda table: ranking_arrays(table, encoder)  # noqa: E731
    with TemporaryDirectory(prefix="segue-shards-") as folder:
        train, validation = (shards_of(training_set, p, encode, Path(folder)) for p in ("train", "validation"))
        model, history = ranking.fit(
            train, validation, encoder, config.ranking, config.seed, checkpoints, starts_warm(champion)
        )
    labels = read_part(training_set, "train", [f"label_{name}" for name in (*HEADS, LISTEN)])
    known = {name for name in (*HEADS, LISTEN) if labels[f"label_{name}"].null_count < labels.num_rows}
    # A head without labels has learned nothing and has no say in the reward.
    reward = {h: w if h in known or h == CHOICE else 0.0 for h, w in config.ranking.reward.items()}
    chosen = choose(training_set, sources, model, reward, config.seed) if sources else {}
    made_from = lineage(training_set, run_id, config)
    export_ranking(model, read_part(training_set, "items_now"), reward, made_from, out)
    return {**history, "reward": reward, "choice": chosen}


def choose(
    training_set: Path, sources: dict[str, Path], model: ranking.RankingModel, reward: dict[str, float], seed: int
) -> dict:
    """Fit the choice head of a ranking model on the validation span, which the sources were not trained on.

    Returns:
        What `fit_order` does.
    """
    catalogue = model.encoder.catalogue
    train = read_parquet(training_set / "train.parquet", columns=["user_id", "item_id", "positive"])
    model.colistening.fit(*plays(train, catalogue))
    items = read_part(training_set, "items_at_validation")
    validation = read_part(training_set, "validation")
    positives = sample(validation.filter(validation["positive"]), CHOICE_ROWS, seed)
    listeners = read_part(training_set, "sequences", ["user_id", "items"]).combine_chunks()
    had = listeners["items"].combine_chunks()
    earlier = pa.table({"user_id": listeners["user_id"].take(pc.list_parent_indices(had)), "item_id": had.flatten()})
    lists = candidate_lists(sources, positives, items, read_card(sources["retrieval"])["filter_seen"], earlier)
    known = choices(ServedRanking(model, items, reward), positives, lists)
    return fit_order(model.choice, known, "sequence" in sources, seed)


def warm_champion(served: dict[str, Path], name: str, training_set: Path) -> Path | None:
    """The served model that a new one of the same data set may start from; None if there is none."""
    if name not in served:
        return None
    card = read_card(served[name])
    same = card.get("format") == FORMAT and card["dataset"] == read_json(training_set / "manifest.json")["dataset"]
    return served[name] if same else None


def served_champion(served: dict[str, Path], candidate: Path) -> dict[str, Path] | None:
    """The served models, if they were made from the candidate's data set and know its genres and content types by the
    same places; only those compare."""
    if not set(MODELS) <= set(served):
        return None
    ours, champion = read_card(candidate), {name: served[name] for name in MODELS}
    cards = [read_card(path) for path in champion.values()]
    comparable = all(
        card.get("format") == FORMAT and all(card.get(name) == ours.get(name) for name in ("dataset", *AXES))
        for card in cards
    )
    return champion if comparable else None


def evaluate(
    training_set: Path,
    candidate: dict[str, Path],
    champion: dict[str, Path] | None,
    config: TrainingConfig,
    analysis: Path,
) -> dict:
    """Evaluate a candidate's models on held-out time, against popularity and the champion.

    Args:
        training_set: the run's training set.
        candidate: SavedModels by name: `retrieval`, `ranking`, `sequence`.
        champion: the same of what is served now, None if there is nothing of this data set.
        config: seed and limits.
        analysis: a folder for the model analysis.

    Returns:
        `retrieval`, `ranking` (metrics by model), `analysis` (slices of the primary head), `calibration` (of the
        candidate's heads, by slice) and the `verdict`.
    """
    from models.model_analysis import analyze

    test, items = (read_part(training_set, name) for name in ("test", "items_at_test"))
    train, validation = (read_part(training_set, name, ["item_id", "positive"]) for name in ("train", "validation"))
    before = pa.concat_tables([train, validation])
    known = set(pc.unique(train["item_id"]).to_pylist())
    contestants = {"candidate": candidate} | ({"champion": champion} if champion else {})
    following = {"sequence": candidate["sequence"]} | ({"champion_sequence": champion["sequence"]} if champion else {})
    found = evaluate_retrieval(
        {name: models["retrieval"] for name, models in contestants.items()} | following,
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
        slice_columns(drawn, known),
        analysis,
        config.limits.slice_auc,
        config.limits.slice_examples,
    )
    verdict = bless(found, heads, config.limits, slices["failures"])
    columns = slice_columns(test, known)
    calibration = {h: calibration_by_slice(predictions["candidate"], test, columns, h) for h in heads["candidate"]}
    return {
        "retrieval": found,
        "ranking": heads,
        "analysis": {"head": head, **slices},
        "calibration": calibration,
        "verdict": verdict,
    }


def sample_requests(
    training_set: Path, saved_models: dict[str, Path], seed: int, count: int = REQUESTS
) -> dict[str, list[Arrays]]:
    """Real requests for the served signatures, from the test span: one listener each."""
    rows = sample(read_part(training_set, "test"), count, seed)
    ids = read_part(training_set, "items_now")["item_id"].to_pylist()
    drawn = np.random.default_rng(seed).choice(ids, (count, min(REQUEST_CANDIDATES, len(ids))))
    requests: dict[str, list[Arrays]] = {name: [] for name in MODELS}
    query = raw_query(rows, load_axes(saved_models["retrieval"]))
    for row in range(rows.num_rows):
        one = {name: value[row : row + 1] for name, value in query.items()}
        requests["retrieval"].append(one | NO_FILTERS)
        candidates = drawn[row : row + 1].astype(object)
        scores = np.zeros(candidates.shape, np.float32)
        requests["ranking"].append(
            {**one, "candidate_ids": candidates, "retrieval_scores": scores, "sequence_scores": scores}
        )
        requests["sequence"].append({name: one[name] for name in HISTORY_INPUTS} | NO_FILTERS)
    return requests
