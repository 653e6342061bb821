"""TensorFlow Model Analysis: a candidate compared with a baseline, by slice and by threshold."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # the import takes 9 s, the evaluation 4 s

CONFIG = """
model_specs { name: "candidate" model_type: "tf_generic" label_key: "label" prediction_key: "candidate" }
model_specs {
  name: "baseline" model_type: "tf_generic" label_key: "label" prediction_key: "baseline" is_baseline: true
}
slicing_specs {}
slicing_specs { feature_keys: "plan" }
metrics_specs { metrics {
  class_name: "BinaryAccuracy"
  threshold {
    value_threshold { lower_bound { value: 0.6 } }
    change_threshold { direction: HIGHER_IS_BETTER absolute { value: -0.3 } }
  }
} }
"""


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evaluation of four rows. The candidate is wrong once, on "free"; the baseline is never wrong."""
    import apache_beam as beam
    import pyarrow as pa
    import tensorflow_model_analysis as tfma
    from google.protobuf import text_format
    from tensorflow_model_analysis import extractors
    from tensorflow_model_analysis.proto import config_pb2

    config = text_format.Parse(CONFIG, config_pb2.EvalConfig())
    rows: dict[str, list[Any]] = {
        "label": [1.0, 1.0, 0.0, 0.0],
        "candidate": [0.9, 0.1, 0.2, 0.3],
        "baseline": [0.9, 0.8, 0.2, 0.3],
        "plan": [b"free", b"free", b"paid", b"paid"],
    }
    batch = pa.RecordBatch.from_pydict({name: pa.array([[cell] for cell in cells]) for name, cells in rows.items()})
    models = [
        tfma.EvalSharedModel(model_name="candidate", model_type="tf_generic"),
        tfma.EvalSharedModel(model_name="baseline", model_type="tf_generic", is_baseline=True),
    ]
    output = tmp_path_factory.mktemp("evaluation")
    with beam.Pipeline() as pipeline:
        _ = (
            pipeline
            | beam.Create([batch])
            | tfma.ExtractEvaluateAndWriteResults(
                eval_config=config,
                eval_shared_model=models,
                extractors=[
                    extractors.FeaturesExtractor(eval_config=config),
                    extractors.LabelsExtractor(eval_config=config),
                    extractors.ExampleWeightsExtractor(eval_config=config),
                    extractors.PredictionsExtractor(eval_config=config),
                    # Without this extractor, a slice includes all rows of each batch that has one of its rows.
                    extractors.UnbatchExtractor(),
                    extractors.SliceKeyExtractor(eval_config=config),
                ],
                output_path=str(output),
            )
        )
    return output


def slice_name(key: Any) -> str:
    """Return the slice's value of `plan`; empty for the slice of all rows."""
    return key.single_slice_keys[0].bytes_value.decode() if key.single_slice_keys else ""


def test_each_slice_has_its_own_figures_for_both_models(evaluation):
    """If this fails, the figures of slices are wrong, and the blessing depends on the average alone."""
    import tensorflow_model_analysis as tfma

    accuracies = {
        (slice_name(entry.slice_key), value.key.model_name): value.value.double_value.value
        for entry in tfma.load_metrics(str(evaluation))
        for value in entry.metric_keys_and_values
        if value.key.name == "binary_accuracy" and not value.key.is_diff
    }
    assert accuracies == {
        ("", "candidate"): 0.75,
        ("", "baseline"): 1.0,
        ("free", "candidate"): 0.5,
        ("free", "baseline"): 1.0,
        ("paid", "candidate"): 1.0,
        ("paid", "baseline"): 1.0,
    }


def test_thresholds_fail_the_slice_that_breaks_them(evaluation):
    """If this fails, a candidate is blessed although it is worse than the champion for some listeners."""
    import tensorflow_model_analysis as tfma

    result = tfma.load_validation_result(str(evaluation))
    assert not result.validation_ok
    failures = {
        (slice_name(entry.slice_key), failure.metric_key.is_diff): failure.metric_value.double_value.value
        for entry in result.metric_validations_per_slice
        for failure in entry.failures
    }
    # On "free" the candidate has 0.5, which is under 0.6, and loses 0.5 to the baseline, more than the allowed 0.3.
    # Over all rows it has 0.75 and loses 0.25, which is within both thresholds.
    assert failures == {("free", False): 0.5, ("free", True): -0.5}
