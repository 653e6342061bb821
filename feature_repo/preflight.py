"""Check before a run that its models can be judged by the imported log."""

from pathlib import Path

from ibis import _
from pyarrow.dataset import dataset

from events.dataset import load
from events.labels import examples
from events.request_joins import with_cause
from events.schema import HEADS
from events.splits import cut
from feature_repo.engine import duckdb_engine, literal, read_parquet


def require_labels(data: Path, fractions: tuple[float, float, float], span: str) -> None:
    """Check that a span of the imported log has a label with both outcomes, by which ranking can be judged.

    Args:
        data: the folder of the imported log.
        fractions: shares of the events for the train, validation and test spans.
        span: the span that judges, `validation` or `test`.

    Raises:
        InputError: no label has both outcomes there, for instance because every event is an `add`.
    """
    tables = load(data)
    split = cut(dataset(tables.events_files, format="parquet").to_table(["ts"])["ts"], fractions)
    start, end = (split.validation_end, split.end) if span == "test" else (split.train_end, split.validation_end)
    with duckdb_engine() as engine:
        events = engine.read_parquet([literal(path) for path in tables.events_files])
        items = read_parquet(engine, data / "items.parquet")
        labelled = examples(events.filter(_.ts >= start, _.ts < end), items)
        outcomes = {head: labelled[f"label_{head}"].nunique() for head in HEADS}
        row = labelled.aggregate(rows=_.count(), **outcomes).execute().iloc[0]
    if max(row[head] for head in HEADS) < 2:
        raise with_cause(
            "Ranking is judged by a label that is 1 for some events and 0 for others. "
            f"The {span} span ({start:%Y-%m-%d} .. {end:%Y-%m-%d}) of {row['rows']:,} events has no such label.",
            "Import what listeners were offered and did not take too: impressions with `request_id`, skips, or "
            "`label_…` columns with 0 and 1. Without them `segue run search` still compares retrieval models.",
            tables.events(),
        )
