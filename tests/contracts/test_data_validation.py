"""TensorFlow Data Validation on Linux: an older build with newer versions of all its dependencies."""

from typing import Any

import pandas as pd
import pytest

pytestmark = pytest.mark.slow  # the import takes 4 to 10 s, in the first test


def statistics(plans: list[str], shift: float = 0.0) -> Any:
    """Return statistics of ten rows: the plans, and the numbers 0 to 9 plus `shift`."""
    import tensorflow_data_validation as tfdv

    frame = pd.DataFrame({"plan": plans, "plays": [float(n) + shift for n in range(10)]})
    return tfdv.generate_statistics_from_dataframe(frame)


REFERENCE = ["free"] * 8 + ["paid"] * 2


def test_statistics_of_a_dataframe():
    """If this fails, no run has statistics of its training data, which the `validate` step needs."""
    (dataset,) = statistics(REFERENCE).datasets
    assert dataset.num_examples == 10
    plan, plays = dataset.features
    assert {bucket.label: bucket.sample_count for bucket in plan.string_stats.rank_histogram.buckets} == {
        "free": 8,
        "paid": 2,
    }
    assert plays.num_stats.mean == 4.5


def test_an_inferred_schema_finds_an_unknown_value():
    """If this fails, validation does not notice a value that never occurred in training."""
    import tensorflow_data_validation as tfdv

    schema = tfdv.infer_schema(statistics(REFERENCE))
    assert list(schema.string_domain[0].value) == ["free", "paid"]
    anomalies = tfdv.validate_statistics(statistics(["free"] * 9 + ["gold"]), schema)
    assert list(anomalies.anomaly_info) == ["plan"]


def test_drift_against_previous_statistics_is_measured():
    """If this fails, the verdict has no distances between the training data of two runs."""
    import tensorflow_data_validation as tfdv
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    previous = statistics(REFERENCE)
    schema = tfdv.infer_schema(previous)
    tfdv.get_feature(schema, "plan").drift_comparator.infinity_norm.threshold = 0.1
    tfdv.get_feature(schema, "plays").drift_comparator.jensen_shannon_divergence.threshold = 0.1
    current = statistics(["free"] * 2 + ["paid"] * 8, shift=5.0)
    anomalies = tfdv.validate_statistics(current, schema, previous_statistics=previous)
    assert set(anomalies.anomaly_info) == {"plan", "plays"}
    measured = {
        info.path.step[0]: (info.drift_measurements[0].type, info.drift_measurements[0].value)
        for info in anomalies.drift_skew_info
    }
    types = anomalies_pb2.DriftSkewInfo.Measurement
    # The share of "free" falls from 0.8 to 0.2.
    assert measured["plan"] == (types.L_INFTY, pytest.approx(0.6))
    assert measured["plays"][0] == types.JENSEN_SHANNON_DIVERGENCE
    assert measured["plays"][1] > 0.1


def test_statistics_become_a_page():
    """If this fails, a run has no page of its training data."""
    from tensorflow_data_validation.utils.display_util import get_statistics_html

    assert "facets" in get_statistics_html(statistics(REFERENCE))
