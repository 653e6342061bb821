"""TensorFlow Transform: analysis and transformation in this environment."""

import pytest

pytestmark = pytest.mark.slow  # the import and one analysis take 10 s


def test_three_rows_are_analyzed_and_transformed(tmp_path):
    """If this fails, vocabularies and normalisation cannot be fitted on the train span."""
    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

    metadata = dataset_metadata.DatasetMetadata(
        schema_utils.schema_from_feature_spec({
            "plays": tf.io.FixedLenFeature([], tf.float32),
            "plan": tf.io.FixedLenFeature([], tf.string),
        })
    )  # fmt: skip
    rows = [{"plays": 1.0, "plan": "free"}, {"plays": 2.0, "plan": "paid"}, {"plays": 3.0, "plan": "free"}]

    def preprocess(columns):
        return {
            "plays": tft.scale_to_0_1(columns["plays"]),
            "plan": tft.compute_and_apply_vocabulary(columns["plan"]),
        }

    with tft_beam.Context(temp_dir=str(tmp_path)):
        (transformed, _), _ = (rows, metadata) | tft_beam.AnalyzeAndTransformDataset(preprocess)
    # The plays 1, 2, 3 are scaled to 0 to 1, and the most frequent plan has the number 0.
    assert [(row["plays"], row["plan"]) for row in transformed] == [(0.0, 0), (0.5, 1), (1.0, 0)]
