"""A stage: its result, or its fallback with a note of why."""

import asyncio

import pytest

from segue.errors import InputError, UnavailableError
from surfaces.engine.stage import FAILED, LATE, OFF, OK, Stage, Trace


class UnknownError(InputError):
    """An error that a stage lets through."""


async def double(number):
    return 2 * number


async def slow(number):
    await asyncio.sleep(30)


async def broken(number):
    raise UnavailableError("the server is down", "")


def bug(number):
    return number / 0


def stage(run, by=5.0, **more):
    return Stage("double", run, lambda number: -number, by, **more)


@pytest.mark.parametrize(
    ("tried", "off", "result", "outcome"),
    [
        pytest.param(stage(double), (), 6, OK, id="a coroutine"),
        pytest.param(stage(lambda number: number + 1), (), 4, OK, id="a function"),
        pytest.param(stage(double), ("double",), -3, OFF, id="switched off"),
        pytest.param(stage(double, enabled=lambda number: number > 3), (), -3, OFF, id="not wanted for this request"),
        pytest.param(stage(slow, by=0.02), (), -3, LATE, id="cut off at its deadline"),
        pytest.param(stage(lambda number: number + 1, by=-1.0), (), -3, LATE, id="not begun after its deadline"),
        pytest.param(stage(broken), (), -3, FAILED, id="a dead server"),
        pytest.param(stage(bug), (), -3, FAILED, id="a bug"),
    ],
)
def test_a_stage_never_fails_a_request(tried, off, result, outcome):
    trace = Trace(off=frozenset(off))
    assert asyncio.run(tried(3, trace)) == result
    assert trace.outcomes == {"double": outcome}
    assert trace.degraded == (("double",) if outcome in (LATE, FAILED) else ())
    assert ("double" in trace.seconds) == (outcome != OFF)


def test_a_failure_stays_if_the_stage_runs_again():
    async def twice(trace):
        return await stage(bug)(3, trace), await stage(double)(3, trace)

    trace = Trace()
    assert asyncio.run(twice(trace)) == (-3, 6)
    assert trace.outcomes == {"double": FAILED}
    assert trace.degraded == ("double",)


def test_an_error_that_passes_ends_the_request():
    def unknown(number):
        raise UnknownError("nobody")

    with pytest.raises(UnknownError):
        asyncio.run(stage(unknown, passes=(UnknownError,))(3, Trace()))


@pytest.mark.parametrize(("error", "refused"), [(InputError("no"), True), (UnavailableError("down"), False)])
def test_a_trace_tells_a_refused_call_from_a_dead_server(error, refused):
    def fail(number):
        raise error

    trace = Trace()
    asyncio.run(stage(fail)(3, trace))
    assert trace.refused is refused
