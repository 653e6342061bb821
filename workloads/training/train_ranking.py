"""Train ranking: a training set's folder and the models that find candidates in, a SavedModel out."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc

from events.schema import TASKS
from models.inputs.arrow_columns import sample
from models.inputs.shards import read_parquet
from models.inputs.training_arrays import ranking_arrays
from models.ranking import model as ranking
from models.ranking.colistening import plays
from models.ranking.two_stage import candidate_lists, choices, fit_order
from models.saved.card import read_card
from models.saved.ranking_export import CHOICE, ServedRanking, export_ranking
from models.training_config import TrainingConfig
from stores import parts
from workloads.run import Run
from workloads.training.champion import warm_start_of, warm_starter
from workloads.training_set import encoder_of, lineage, read_part, recency_of, shards_of

CHOICE_ROWS = 4_000  # positives that the choice head is fitted on


def step(run: Run, training_set: Path, retrieval: Path, sequence: Path, out: Path) -> None:
    """Train the run's ranking model on the candidates of its other models, and write its SavedModel to `out`."""
    with run.step(__name__, reads=(parts.MODELS,)) as result:
        champion, result["warm_start"] = warm_start_of(run, "ranking", training_set)
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
        training_set: the folder of the run's training set.
        sources: the SavedModels whose candidates the choice head is fitted on: `retrieval`, and `sequence` if it finds
            candidates too. Without sources, or without a weight in the reward, it is not fitted: `choice` keeps the
            order of the request's retrieval scores.
        run_id: the run's name, for the model's card.
        config: sizes, rates and seed.
        out: a folder that does not exist yet.
        champion: a ranking SavedModel to start from.
        checkpoints: a folder that training resumes from.

    Returns:
        Lists by epoch (`loss`, `val_loss`, `judged`, `seconds`, `examples_per_second`), the `reward` that is served,
        and `choice`: the fit of the choice head, and the gain in NDCG@10 from the sequence model's scores; empty if it
        is not fitted.
    """
    encoder = encoder_of(training_set)
    recency = recency_of(training_set, config)
    encode = lambda table: ranking_arrays(table, encoder, recency)  # noqa: E731
    with TemporaryDirectory(prefix="segue-shards-") as folder:
        train, validation = (shards_of(training_set, p, encode, Path(folder)) for p in ("train", "validation"))
        model, history = ranking.fit(
            train, validation, encoder, config.ranking, config.seed, checkpoints, warm_starter(champion)
        )
    labels = read_part(training_set, "train", [f"label_{name}" for name in TASKS])
    labelled = {name for name in TASKS if labels[f"label_{name}"].null_count < labels.num_rows}
    # A head without labels has learned nothing, so it has no weight in the reward.
    reward = {h: w if h in labelled or h == CHOICE else 0.0 for h, w in config.ranking.reward.items()}
    chosen = choose(training_set, sources, model, reward, config.seed) if sources and reward[CHOICE] else {}
    made_from = lineage(training_set, run_id, config)
    export_ranking(model, read_part(training_set, "items_now"), reward, made_from, out)
    return {**history, "reward": reward, "choice": chosen}


def choose(
    training_set: Path, sources: dict[str, Path], model: ranking.RankingModel, reward: dict[str, float], seed: int
) -> dict:
    """Fit the choice head of a ranking model on the validation span, which the sources were not trained on.

    Returns:
        What `fit_order` returns.
    """
    catalogue = model.encoder.catalogue
    train = read_parquet(training_set / "train.parquet", columns=["user_id", "item_id", "positive"])
    model.colistening.fit(*plays(train, catalogue))
    items = read_part(training_set, "items_at_validation")
    validation = read_part(training_set, "validation")
    positives = sample(validation.filter(validation["positive"]), CHOICE_ROWS, seed)
    listeners = read_part(training_set, "sequences", ["user_id", "items"]).combine_chunks()
    items_of_listeners = listeners["items"].combine_chunks()
    owners = listeners["user_id"].take(pc.list_parent_indices(items_of_listeners))
    earlier = pa.table({"user_id": owners, "item_id": items_of_listeners.flatten()})
    lists = candidate_lists(sources, positives, items, read_card(sources["retrieval"])["filter_seen"], earlier)
    examples = choices(ServedRanking(model, items, reward), positives, lists)
    return fit_order(model.choice, examples, "sequence" in sources, seed)
