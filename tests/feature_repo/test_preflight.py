"""A log by which no ranking can be judged is refused before a run starts."""

import pyarrow as pa
import pytest

from events import dataset, schema
from events.imported import Imported
from feature_repo.preflight import require_labels
from segue.errors import InputError
from tests.feature_repo.conftest import instant

HALVES = (0.4, 0.1, 0.5)
IMPRESSIONS = [{"action": "impression", "request_id": f"r{n}"} for n in range(20)]


def store(folder, rows: list[dict]):
    """Import events of four listeners, a minute apart; return the data set's folder."""
    events = [
        {
            "event_id": f"e{n:02d}",
            "user_id": f"u{n % 4}",
            "item_id": f"i{n % 4}",
            "ts": instant(0, f"12:{n:02d}"),
            "action": schema.PLAY,
            **row,
        }
        for n, row in enumerate(rows)
    ]
    names = {name: None for row in events for name in row}
    table = pa.table({name: [row.get(name) for row in events] for name in names})
    items = pa.table({"item_id": [f"i{n}" for n in range(4)], "title": list("abcd"), "duration_ms": [200_000] * 4})
    users = pa.table({"user_id": [f"u{n}" for n in range(4)]})
    dataset.write(folder / "data", Imported("log", items, users, table))
    return folder / "data"


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([{"action": "add"}] * 20, id="adds"),
        pytest.param([{"action": "play"}] * 20, id="plays of unknown length"),
        pytest.param([{"action": "play", "ms_played": 200_000}] * 20, id="complete plays"),
        pytest.param([{"label_like": 1.0}] * 20, id="labels of one kind"),
        pytest.param([{f"label_{name}": None for name in schema.TASKS} | {"label_listen": 2.0}] * 20, id="no labels"),
        pytest.param([{"action": "skip"}] * 5 + [{"action": "play"}] * 15, id="negatives too early"),
        pytest.param(IMPRESSIONS, id="impressions without interactions"),
    ],
)
def test_a_log_of_one_kind_of_label_is_refused(tmp_path, rows):
    with pytest.raises(
        InputError, match=r"1 for some events and 0 for others. The test span .* of 10 events"
    ) as refused:
        require_labels(store(tmp_path, rows), HALVES, "test")
    assert "request_id" in refused.value.fix


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([{"action": "play"}, {"action": "like"}] * 10, id="likes"),
        pytest.param([{"action": "play"}, {"action": "skip"}] * 10, id="skips"),
        pytest.param([{"ms_played": 1_000}, {"ms_played": 200_000}] * 10, id="short plays"),
        pytest.param([{"label_add": 1.0}, {"label_add": 0.0}] * 10, id="labels"),
        pytest.param(
            [IMPRESSIONS[0], {"ms_played": 40_000, "request_id": "r0"}, *IMPRESSIONS[1:10]] * 2, id="impressions"
        ),
    ],
)
def test_a_log_with_both_kinds_of_one_label_is_taken(tmp_path, rows):
    if "request_id" in rows[0]:  # an impression and what followed are of one listener and item
        rows = [{**row, "user_id": f"u{n // 11}", "item_id": "i0"} for n, row in enumerate(rows)]
    require_labels(store(tmp_path, rows), HALVES, "test")


@pytest.mark.parametrize("span", ["validation", "test"])
def test_the_span_that_judges_counts(tmp_path, span):
    skipped, played = [{"action": "skip"}, {}], [{}, {}]
    data = store(tmp_path, [*played * 4, *(skipped if span == "validation" else played), *played * 5])
    if span == "validation":
        require_labels(data, HALVES, span)
    else:
        with pytest.raises(InputError, match="The test span"):
            require_labels(data, HALVES, span)
