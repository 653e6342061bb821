"""Evaluate: judge the run's models on held-out time and slices, beside the champion on the same examples."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.evaluation.blessing import bless, primary_head
from models.evaluation.frames import prediction_frame
from models.evaluation.held_out import calibration_by_slice, evaluate_retrieval, predict_ranking, ranking_metrics
from models.evaluation.off_policy import off_policy
from models.evaluation.report import flat_metrics, markdown
from models.evaluation.slices import slice_columns
from models.inputs.arrow_columns import number, sample
from models.inputs.training_arrays import mask
from models.saved.card import read_card
from models.training_config import TrainingConfig
from segue.files import atomic_path, write_json, write_text
from serving.store.model_store import stable
from stores import parts
from workloads.run import Run
from workloads.training.champion import served_champion
from workloads.training_set import read_part

ANALYSED_ROWS = 10_000  # examples in the slice analysis; Beam takes 2 CPU seconds for 1,000


def step(
    run: Run, training_set: Path, models: dict[str, Path], report: Path, window: Path
) -> tuple[bool, dict[str, float]]:
    """Evaluate the run's models; return whether they are blessed, and the figures of that decision by name.

    Args:
        run: the pipeline run.
        training_set: the run's training set.
        models: the run's SavedModels by name.
        report: the file to write the evaluation to, as Markdown.
        window: the Parquet file to write the test span's features and predictions to, for drift.
    """
    with run.step(__name__, reads=(parts.MODELS,)) as result:
        champion = served_champion(stable(run.home.models), models["ranking"])
        evaluation = evaluate(training_set, models, champion, run.config, run.folder.model_analysis, window)
        write_json(run.folder.evaluation, evaluation)
        write_text(report, markdown(evaluation))
        write_text(run.folder.evaluation_page, markdown(evaluation))
        result.update(evaluation["verdict"])
        return evaluation["verdict"]["passed"], flat_metrics(evaluation)


def evaluate(
    training_set: Path,
    candidate: dict[str, Path],
    champion: dict[str, Path] | None,
    config: TrainingConfig,
    analysis: Path,
    window: Path,
) -> dict:
    """Evaluate a candidate's models on held-out time, against popularity and the champion.

    Args:
        training_set: the run's training set.
        candidate: SavedModels by name: `retrieval`, `ranking`, `sequence`.
        champion: the served models by name; None if no served model was made from this data set.
        config: seed and limits.
        analysis: the folder to write the model analysis to.
        window: the Parquet file to write the test span's features and the candidate's predictions to.

    Returns:
        `retrieval`, `ranking` (metrics by model), `analysis` (slices of the primary head), `calibration` (of the
        candidate's heads, by slice), `off_policy` (what the models' lists would bring, estimated from the propensities
        of the log; empty without any) and the `verdict`.
    """
    from models.evaluation.model_analysis import analyze

    test, items = (read_part(training_set, name) for name in ("test", "items_at_test"))
    train, validation = (read_part(training_set, name, ["item_id", "positive"]) for name in ("train", "validation"))
    before = pa.concat_tables([train, validation])
    trained_items = set(pc.unique(train["item_id"]).to_pylist())
    contestants = {"candidate": candidate} | ({"champion": champion} if champion else {})
    sequences = {"sequence": candidate["sequence"]} | ({"champion_sequence": champion["sequence"]} if champion else {})
    retrieval = evaluate_retrieval(
        {name: models["retrieval"] for name, models in contestants.items()} | sequences,
        before,
        test,
        items,
        read_card(candidate["retrieval"])["filter_seen"],
        config.seed,
    )
    estimated = off_policy(
        {name: models["retrieval"] for name, models in contestants.items()},
        before,
        test,
        items,
        config.ranking.reward,
        read_card(candidate["retrieval"])["filter_seen"],
        config.seed,
    )
    predictions = {name: predict_ranking(models["ranking"], test) for name, models in contestants.items()}
    with atomic_path(window) as temporary:
        prediction_frame(test, predictions["candidate"], config.seed).to_parquet(temporary)
    heads = {name: ranking_metrics(scores, test) for name, scores in predictions.items()}
    head = primary_head(heads["candidate"])
    rows = np.flatnonzero(mask(test, head))
    analysed = sample(test.take(pa.array(rows)).append_column("row", pa.array(rows)), ANALYSED_ROWS, config.seed)
    analysed_rows = analysed["row"].to_numpy()
    slices = analyze(
        number(analysed[f"label_{head}"]),
        {name: scores[head][analysed_rows] for name, scores in predictions.items()},
        slice_columns(analysed, trained_items),
        analysis,
        config.limits.slice_auc,
        config.limits.slice_examples,
    )
    verdict = bless(retrieval, heads, config.limits, slices["failures"])
    columns = slice_columns(test, trained_items)
    calibration = {
        name: calibration_by_slice(predictions["candidate"], test, columns, name) for name in heads["candidate"]
    }
    return {
        "retrieval": retrieval,
        "ranking": heads,
        "analysis": {"head": head, **slices},
        "calibration": calibration,
        "off_policy": estimated,
        "verdict": verdict.to_dict(),
    }
