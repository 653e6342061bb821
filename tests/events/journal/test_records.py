"""Records refuse what an import would refuse later, and read back as they were written."""

import zlib
from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pyarrow as pa
import pytest

from events.journal.records import feedback_record, page_record, read_feedback, read_page
from segue.errors import InputError


def test_records_read_back_as_they_were(page, feedback):
    exposures = page(
        "r1", arms={"layout": "b"}, query="jazz ☃", session_id=None, degraded=("features",), served='{"a":"☃"}'
    )
    assert read_page(page_record(exposures[::-1]).body) == exposures
    one = feedback("e1", "r1", "i1", ts=datetime(2026, 1, 5, 12, 0, 0, 123456, UTC))
    assert read_feedback(feedback_record(one).body) == one
    one = replace(one, received=datetime(2026, 1, 5, 12, 0, 40, 5, UTC))
    assert read_feedback(feedback_record(one).body) == one


def test_records_of_earlier_versions_lack_what_came_later(page, feedback):
    old = [
        {name: value for name, value in one._asdict().items() if name not in ("degraded", "features", "served")}
        for one in page("r1")
    ]
    assert read_page(zlib.compress(orjson.dumps(old))) == page("r1")
    newer = orjson.loads(pa.CompressedInputStream(pa.BufferReader(page_record(page("r1")).body), "zstd").read())
    del newer["page"]["served"]
    assert read_page(pa.compress(orjson.dumps(newer), codec="zstd", asbytes=True)) == page("r1")
    one = feedback("e1", "r1", "i1")
    assert read_feedback(orjson.dumps({n: v for n, v in vars(one).items() if n != "received"})) == one


def test_a_page_takes_a_tenth_of_its_json(page):
    assert len(page_record(page("r1", items=100)).body) < 100 * 40


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_id", ""),
        ("user_id", " u0"),
        ("user_id", "null"),
        ("item_id", "i\n0"),
        ("item_id", "i" * 257),
        ("item_id", "\ud800"),
        ("session_id", "NaN"),
        ("request_id", None),
        ("surface", "kitchen"),
        ("row", 0),
        ("position", 0),
        ("propensity", 0.0),
        ("propensity", 1.1),
        ("propensity", float("nan")),
        ("layout_propensity", -0.5),
        ("ts", datetime(2026, 1, 5)),
        ("ts", datetime(1970, 1, 1, tzinfo=UTC)),
        ("policy", "fallback-1"),
        ("fallback", 1),
    ],
)
def test_an_exposure_that_breaks_a_rule_is_refused(page, field, value):
    with pytest.raises(InputError, match=field if field != "fallback" else "policy"):
        page_record(page("r1", **{field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_id", "impression:r1:1"),
        ("event_id", "undefined"),
        ("action", "hum"),
        ("ms_played", -1),
        ("ms_played", 2**60),
        ("ts", datetime(1980, 1, 1, tzinfo=UTC)),
        ("received", datetime(2026, 1, 5)),  # without a zone
        ("received", datetime(2026, 1, 5, tzinfo=UTC)),  # before it happened
    ],
)
def test_feedback_that_breaks_a_rule_is_refused(feedback, field, value):
    values = {"event": "e1", "request": "r1", "item": "i1", **{"event" if field == "event_id" else field: value}}
    with pytest.raises(InputError, match=field):
        feedback(**values)


def test_a_fallback_page_has_its_policy_and_draws_nothing(page):
    page_record(page("r1", fallback=2, policy="fallback-2", propensity=1.0, layout_propensity=1.0))
    with pytest.raises(InputError, match="fallback-2"):
        page_record(page("r1", fallback=2, policy="fallback-2"))


@pytest.mark.parametrize(("field", "value"), [("user_id", "u1"), ("position", 1)])
def test_exposures_of_a_page_agree(page, field, value):
    with pytest.raises(InputError, match=field):
        page_record([page("r1")[0], page("r1", **{field: value})[1]])


def test_a_text_that_is_not_utf_8_is_refused(page):
    with pytest.raises(InputError, match="UTF-8"):
        page_record(page("r1", query="\ud800"))
