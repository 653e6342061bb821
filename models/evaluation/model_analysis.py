"""TensorFlow Model Analysis of the ranking model: AUC and calibration in every slice, against limits and the champion.

It analyses predictions that the SavedModels' own signatures made beforehand. So it judges the answers that a client
would get, and loads no model itself (its model type is "tf_generic").
"""

from collections.abc import Mapping
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_model_analysis as tfma
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tensorflow_model_analysis.extractors.materialized_predictions_extractor import (
    MaterializedPredictionsExtractor,
)
from tensorflow_model_analysis.extractors.unbatch_extractor import UnbatchExtractor
from tensorflow_model_analysis.proto import config_pb2

CANDIDATE, CHAMPION, LABEL = "candidate", "champion", "label"
OVERALL = "overall"
BATCH = 10_000


def analyze(
    labels: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    slices: Mapping[str, np.ndarray],
    out: Path,
    least_auc: float,
    smallest: int,
) -> dict:
    """Analyse a head's predictions over all slices.

    Args:
        labels: 0 or 1, `[n]`.
        predictions: probabilities by `candidate` and, if there is one, by `champion`, `[n]` each.
        slices: the value of each slice for every example, `[n]` each.
        out: a folder for the result, which `tfma.load_eval_result` reads.
        least_auc: the least AUC in every slice that is judged.
        smallest: number of examples from which a slice is judged, if it has both labels.

    Returns:
        `slices` (by `overall` and `name=value`: `auc`, `examples`, `calibration` and, if there is a champion,
        `auc_change`), `judged` (names of the slices that have a limit) and `failures` (a sentence for each slice below
        its limit).
    """
    judged = judged_slices(labels, slices, smallest)
    config = eval_config(judged, list(slices), CHAMPION in predictions, least_auc)
    models = [
        tfma.EvalSharedModel(model_name=name, model_type="tf_generic", is_baseline=name == CHAMPION)
        for name in predictions
    ]
    extractors = [
        tfma.extractors.FeaturesExtractor(config),
        tfma.extractors.LabelsExtractor(config),
        tfma.extractors.ExampleWeightsExtractor(config),
        MaterializedPredictionsExtractor(config),
        UnbatchExtractor(),  # without it, a whole batch counts as one example
        tfma.extractors.SliceKeyExtractor(eval_config=config),
    ]
    # This runner works in process; the default runner first looks for a binary on the network.
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = (
            pipeline
            | beam.Create(batches(labels, predictions, slices))
            | tfma.ExtractEvaluateAndWriteResults(
                eval_shared_model=models, eval_config=config, extractors=extractors, output_path=str(out)
            )
        )
    # The result of a single model has no model name.
    return summary(out, judged, CANDIDATE if CHAMPION in predictions else None)


def judged_slices(labels: np.ndarray, slices: Mapping[str, np.ndarray], smallest: int) -> list[tuple[str, str]]:
    """The slices that are large enough to judge and have both labels."""
    judged = []
    for name, column in slices.items():
        for value in np.unique(column):
            inside = labels[column == value]
            if len(inside) >= smallest and 0 < inside.sum() < len(inside):
                judged.append((name, str(value)))
    return judged


def eval_config(
    judged: list[tuple[str, str]], slicings: list[str], has_champion: bool, least_auc: float
) -> config_pb2.EvalConfig:
    """The configuration of the analysis: metrics in all slices, and a lowest AUC in each judged slice."""
    specs = [config_pb2.ModelSpec(name=CANDIDATE, label_key=LABEL, prediction_key=CANDIDATE)]
    if has_champion:
        specs.append(config_pb2.ModelSpec(name=CHAMPION, label_key=LABEL, prediction_key=CHAMPION, is_baseline=True))
    limit = config_pb2.GenericValueThreshold(lower_bound={"value": least_auc})
    per_slice = [
        config_pb2.PerSliceMetricThreshold(
            slicing_specs=[config_pb2.SlicingSpec(feature_values={name: value})],
            threshold=config_pb2.MetricThreshold(value_threshold=limit),
        )
        for name, value in judged
    ]
    return config_pb2.EvalConfig(
        model_specs=specs,
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[
                    config_pb2.MetricConfig(class_name="ExampleCount"),
                    config_pb2.MetricConfig(class_name="AUC", per_slice_thresholds=per_slice),
                    config_pb2.MetricConfig(class_name="Calibration"),
                ]
            )
        ],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(config_pb2.SlicingSpec(feature_keys=[name]) for name in slicings),
        ],
    )


def batches(labels, predictions, slices) -> list[pa.RecordBatch]:
    """The examples as record batches of one-element lists, which is the form that the extractors read."""
    columns = {LABEL: labels.astype(np.float32)} | {n: p.astype(np.float32) for n, p in predictions.items()}
    arrays = {name: pa.array(values) for name, values in columns.items()}
    arrays |= {name: pa.array(values.astype(str)).cast(pa.binary()) for name, values in slices.items()}
    offsets = pa.array(np.arange(len(labels) + 1, dtype=np.int32))
    lists = {name: pa.ListArray.from_arrays(offsets, array) for name, array in arrays.items()}
    return pa.table(lists).combine_chunks().to_batches(max_chunksize=BATCH)


def summary(out: Path, judged: list[tuple[str, str]], model_name: str | None) -> dict:
    """The slices and failures of a result on disk, as `analyze` returns them."""
    slices: dict[str, dict] = {}
    result = tfma.load_eval_result(str(out), model_name=model_name)
    for key, metrics in result.slicing_metrics:
        values = metrics[""][""]
        name = "=".join(str(part) for part in key[0]) if key else OVERALL
        slices[name] = {
            "auc": values["auc"]["doubleValue"],
            "examples": int(values["example_count"]["doubleValue"]),
            "calibration": values["calibration"]["doubleValue"],
        }
        if "auc_diff" in values:
            slices[name]["auc_change"] = values["auc_diff"]["doubleValue"]
    validation = tfma.load_validation_result(str(out))
    failures = [
        f"AUC in the slice {name} is {slices[name]['auc']:.4f}, below its limit"
        for name in failed_slices(validation)
        if name in slices
    ]
    return {"slices": slices, "judged": [f"{n}={v}" for n, v in judged], "failures": failures}


def failed_slices(validation) -> list[str]:
    """The names of the slices below a limit."""
    names = []
    for item in validation.metric_validations_per_slice:
        if item.failures:
            keys = [f"{k.column}={k.bytes_value.decode()}" for k in item.slice_key.single_slice_keys]
            names.append("&".join(keys) or OVERALL)
    return names
