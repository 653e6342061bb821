"""Validate a training set before anything is trained on it: TensorFlow Data Validation.

The newest span is held against a schema and the statistics of a reference span: those of the last
pushed model's data, or the older part of the same set while nothing has been pushed. Limits on
distance are wide here, since a model is retrained because its data drift: they catch a unit that
changed, not a taste.
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

# How far a column may move. A unit that changed has a divergence near 1; seasons and growth stay well below.
NUMBER_DISTANCE = 0.8  # Jensen-Shannon divergence, 0 to 1
CATEGORY_DISTANCE = 0.5  # L-infinity distance of the shares, 0 to 1
NO_LIMIT = 2.0  # above what either distance can be, rounding included
DOMAIN_MASS = 0.95  # share of a category's values that the schema must know
MAX_CATEGORIES = 100  # a string column with more values is an id, and has no domain

SCHEMA, STATISTICS = "schema.pbtxt", "statistics.pb"


@dataclass(frozen=True)
class Reference:
    """What a span is held against."""

    schema: schema_pb2.Schema
    statistics: statistics_pb2.DatasetFeatureStatisticsList


def statistics(frame: pd.DataFrame) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Statistics of a frame's columns."""
    return tfdv.generate_statistics_from_dataframe(frame)


def make_reference(frame: pd.DataFrame, judge_distance: bool = True) -> Reference:
    """The schema and statistics of a span that later spans are held against.

    Args:
        frame: scalar columns of the span's examples.
        judge_distance: whether a column that moved too far is an anomaly; within one log, whose older
            part is no model's reference, distances are only measured.

    Raises:
        InputError: the frame is empty.
    """
    if frame.empty:
        raise InputError("A reference span needs rows; it has none.", "Import a longer log.")
    found = statistics(frame)
    schema = tfdv.infer_schema(found, max_string_domain_size=MAX_CATEGORIES)
    number_limit, category_limit = (NUMBER_DISTANCE, CATEGORY_DISTANCE) if judge_distance else (NO_LIMIT, NO_LIMIT)
    for feature in schema.feature:
        feature.presence.min_fraction = min(feature.presence.min_fraction, 0.5)
        if pd.api.types.is_numeric_dtype(frame[feature.name]):
            feature.drift_comparator.jensen_shannon_divergence.threshold = number_limit
        elif feature.domain:
            feature.distribution_constraints.min_domain_mass = DOMAIN_MASS
            feature.drift_comparator.infinity_norm.threshold = category_limit
    return Reference(schema, found)


def save_reference(reference: Reference, folder: Path) -> None:
    """Keep a reference for later runs."""
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        (temporary / SCHEMA).write_text(text_format.MessageToString(reference.schema), encoding="utf-8")
        (temporary / STATISTICS).write_bytes(reference.statistics.SerializeToString())


def load_reference(folder: Path) -> Reference | None:
    """The reference that was kept in a folder, if there is one."""
    if not (folder / SCHEMA).is_file():
        return None
    schema = text_format.Parse((folder / SCHEMA).read_text(encoding="utf-8"), schema_pb2.Schema())
    found = statistics_pb2.DatasetFeatureStatisticsList.FromString((folder / STATISTICS).read_bytes())
    return Reference(schema, found)


def validate(current: pd.DataFrame, reference: Reference, html: Path) -> Verdict:
    """Hold the newest span against a reference.

    Args:
        current: scalar columns of the newest span's examples.
        reference: what it is held against.
        html: where the statistics of both go, for a person.

    Returns:
        The verdict. Its figures: `anomalies` (column -> what is wrong), `distances` (column -> measured drift) and
        `rows`. Its limits: the largest distance of each column that has one.
    """
    found = statistics(current)
    anomalies = tfdv.validate_statistics(found, reference.schema, previous_statistics=reference.statistics)
    wrong = {name: info.description for name, info in sorted(anomalies.anomaly_info.items())}
    distances = {
        ".".join(info.path.step): round(measured.value, 4)
        for info in anomalies.drift_skew_info
        for measured in info.drift_measurements
    }
    page = tfdv.utils.display_util.get_statistics_html(
        lhs_statistics=found, rhs_statistics=reference.statistics, lhs_name="newest span", rhs_name="reference"
    )
    write_text(html, page)
    reason = "; ".join(f"{name}: {text}" for name, text in wrong.items())
    return Verdict(
        passed=not wrong,
        reason=reason or f"{len(current.columns)} columns agree with the reference",
        figures={"anomalies": wrong, "distances": distances, "rows": len(current)},
        limits=distance_limits(reference.schema),
    )


def distance_limits(schema: schema_pb2.Schema) -> dict[str, float]:
    """The largest distance of each column that a schema sets one for; columns are only measured under `NO_LIMIT`."""
    limits = {}
    for feature in schema.feature:
        comparator = feature.drift_comparator
        threshold = comparator.jensen_shannon_divergence.threshold or comparator.infinity_norm.threshold
        if 0 < threshold < NO_LIMIT:
            limits[feature.name] = threshold
    return limits
