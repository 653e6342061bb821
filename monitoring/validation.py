"""Validate a training set with TensorFlow Data Validation, before any model is trained on it.

The newest span is compared with the schema and statistics of a reference span. The reference is the
data of the last pushed model, or the older part of the same training set until a model is pushed.
The limits on distance are wide: drift is the reason to retrain, so it must not stop the training.
They catch a changed unit, such as milliseconds for seconds, but not a changed taste.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from segue.errors import InputError
from segue.files import atomic_path, write_text
from segue.verdict import Verdict

# The largest distance allowed between spans. A changed unit has a divergence near 1; seasons and growth stay well
# below the limits.
NUMBER_DISTANCE = 0.8  # Jensen-Shannon divergence of a numerical column, 0 to 1
CATEGORY_DISTANCE = 0.5  # L-infinity distance between the shares of a categorical column, 0 to 1
NO_LIMIT = 2.0  # neither distance can reach it
DOMAIN_MASS = 0.95  # least share of a categorical column's rows whose value is in the schema
MAX_CATEGORIES = 100  # a string column with more values counts as an id, and any value is valid

SCHEMA, STATISTICS = "schema.pbtxt", "statistics.pb"


@dataclass(frozen=True)
class Reference:
    """The schema and statistics of the span that later spans are compared with."""

    schema: schema_pb2.Schema
    statistics: statistics_pb2.DatasetFeatureStatisticsList


def statistics(frame: pd.DataFrame) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Compute the statistics of a frame's columns."""
    return tfdv.generate_statistics_from_dataframe(frame)


def make_reference(frame: pd.DataFrame, judge_distance: bool = True, earlier: pd.DataFrame | None = None) -> Reference:
    """Make the schema and statistics of a span that later spans are compared with.

    Args:
        frame: scalar columns of the span's examples.
        judge_distance: whether a column beyond the distance limits is an anomaly. If False, distances are only
            measured, for a reference that is the older part of the same log and not the data of a model.
        earlier: the same columns of older examples. Their categories are known too: a short span has not all.

    Raises:
        InputError: the frame is empty.
    """
    if frame.empty:
        raise InputError("A reference span needs rows. Received 0 rows.", "Import a longer log.")
    reference = statistics(frame)
    # A shape demands a value in every row. An item has no statistics until somebody has played it, and a log that was
    # collected has such rows, because unplayed items are explored.
    schema = tfdv.infer_schema(reference, max_string_domain_size=MAX_CATEGORIES, infer_feature_shape=False)
    number_limit, category_limit = (NUMBER_DISTANCE, CATEGORY_DISTANCE) if judge_distance else (NO_LIMIT, NO_LIMIT)
    for feature in schema.feature:
        feature.presence.min_fraction = min(feature.presence.min_fraction, 0.5)
        if pd.api.types.is_numeric_dtype(frame[feature.name]):
            feature.drift_comparator.jensen_shannon_divergence.threshold = number_limit
        elif feature.domain:
            if earlier is not None:
                domain = tfdv.get_domain(schema, feature.name)
                domain.value.extend(sorted(set(earlier[feature.name].dropna()) - set(domain.value)))
            feature.distribution_constraints.min_domain_mass = DOMAIN_MASS
            feature.drift_comparator.infinity_norm.threshold = category_limit
    return Reference(schema, reference)


def save_reference(reference: Reference, folder: Path) -> None:
    """Write a reference to a folder, for later runs."""
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        (temporary / SCHEMA).write_text(text_format.MessageToString(reference.schema), encoding="utf-8")
        (temporary / STATISTICS).write_bytes(reference.statistics.SerializeToString())


def load_reference(folder: Path) -> Reference | None:
    """Read the reference from a folder; None if the folder has none."""
    if not (folder / SCHEMA).is_file():
        return None
    schema = text_format.Parse((folder / SCHEMA).read_text(encoding="utf-8"), schema_pb2.Schema())
    reference = statistics_pb2.DatasetFeatureStatisticsList.FromString((folder / STATISTICS).read_bytes())
    return Reference(schema, reference)


def validate(current: pd.DataFrame, reference: Reference, html: Path) -> Verdict:
    """Validate the newest span against a reference.

    Args:
        current: scalar columns of the newest span's examples.
        reference: the schema and statistics to compare with.
        html: the file to write a page of both spans' statistics to.

    Returns:
        The verdict. Its figures: `anomalies` (column -> description), `distances` (column -> measured distance) and
        `rows`. Its limits: the largest distance of each column that has one.
    """
    newest = statistics(current)
    anomalies = tfdv.validate_statistics(newest, reference.schema, previous_statistics=reference.statistics)
    descriptions = {name: info.description for name, info in sorted(anomalies.anomaly_info.items())}
    distances = {
        ".".join(info.path.step): round(measured.value, 4)
        for info in anomalies.drift_skew_info
        for measured in info.drift_measurements
    }
    page = tfdv.utils.display_util.get_statistics_html(
        lhs_statistics=newest, rhs_statistics=reference.statistics, lhs_name="newest span", rhs_name="reference"
    )
    write_text(html, page)
    reason = "; ".join(f"{name}: {text}" for name, text in descriptions.items())
    return Verdict(
        passed=not descriptions,
        reason=reason or f"{len(current.columns)} columns agree with the reference",
        figures={"anomalies": descriptions, "distances": distances, "rows": len(current)},
        limits=distance_limits(reference.schema),
    )


def distance_limits(schema: schema_pb2.Schema) -> dict[str, float]:
    """Return the largest allowed distance of each column; a column whose limit is `NO_LIMIT` is left out."""
    limits = {}
    for feature in schema.feature:
        comparator = feature.drift_comparator
        threshold = comparator.jensen_shannon_divergence.threshold or comparator.infinity_norm.threshold
        if 0 < threshold < NO_LIMIT:
            limits[feature.name] = threshold
    return limits
