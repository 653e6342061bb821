"""Train ranking: a training set's folder and the models that find candidates in, a SavedModel out."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc

from events.schema import HEADS, LISTEN
from models.evaluation.held_out import sample
from models.inputs.shards import read_parquet
from models.inputs.training_arrays import ranking_arrays
from models.ranking import model as ranking
from models.ranking.colistening import plays
from models.ranking.two_stage import candidate_lists, choices, fit_order
from models.saved.card import read_card
from models.saved.ranking_export import CHOICE, ServedRanking, export_ranking
from models.training_config import TrainingConfig
from workloads.run import Run
from workloads.training.champion import starts_warm, warm_start_of
from workloads.training_set import encoder_of, lineage, read_part, shards_of

CHOICE_ROWS = 4_000  # positives that the choice head is fitted on


def step(run: Run, training_set: Path, retrieval: Path, sequence: Path, out: Path) -> None:
    """Train the run's ranking model on the candidates of its other models, and write its SavedModel to `out`."""
    with run.step(__name__) as result:
        champion = warm_start_of(run, "ranking", training_set)
        # A step that is run again after a kill goes on from its last epoch.
        checkpoints = run.folder.checkpoints / "ranking"
        sources = {"retrieval": retrieval, "sequence": sequence}
        result.update(train_ranking(training_set, sources, run.id, run.config, out, champion, checkpoints))


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
