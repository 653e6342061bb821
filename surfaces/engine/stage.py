"""One stage of a request: what it does, by when, what stands in for it, and whether it is switched on."""

import asyncio
import contextvars
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from segue.errors import InputError, SegueError

log = logging.getLogger(__name__)

Given = TypeVar("Given")
Result = TypeVar("Result")

OK, OFF, LATE, FAILED = "ok", "off", "late", "failed"  # how a stage of a request can end
FEATURES = "features"  # the stage that reads the online store
CANDIDATE = "candidate"  # stands for the stages of a roll-out's candidate in whose place stable versions answered

# When the current request came, seconds of `time.perf_counter`: what it waited before its stages counts too.
came: contextvars.ContextVar[float] = contextvars.ContextVar("came")


def began() -> float:
    """When the current request came; now for what no request asked for."""
    return came.get(time.perf_counter())


@dataclass
class Trace:
    """What the stages of one request did; the only thing of a request that changes while it runs.

    Attributes:
        began: the start of the request, seconds of `time.perf_counter`.
        off: the names of the stages that are switched off.
        outcomes: by stage, `ok`, `off`, `late` or `failed`. A stage may run again for a fallback; a failure stays.
        seconds: by stage, how long it took in all.
        errors: by stage, why its fallback stands in.
        features: the listener's and the session's features (`hydrate.as_text`); empty unless the online store gave
            them.
        candidate: whether the versions are those of a roll-out's candidate.
    """

    began: float = field(default_factory=began)
    off: frozenset[str] = frozenset()
    outcomes: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    features: str = ""
    candidate: bool = False

    def take_features(self, earlier: "Trace") -> None:
        """Note what an earlier trace of the request says of the stage `features`, which does not run again."""
        self.features = earlier.features
        self.outcomes |= {name: outcome for name, outcome in earlier.outcomes.items() if name == FEATURES}
        self.seconds |= {name: seconds for name, seconds in earlier.seconds.items() if name == FEATURES}
        self.errors |= {name: error for name, error in earlier.errors.items() if name == FEATURES}

    @property
    def refused(self) -> bool:
        """Whether a server refused a call as wrong: the model versions may have changed."""
        return any(isinstance(error, InputError) for error in self.errors.values())

    def failed(self, names: Iterable[str]) -> Exception | None:
        """The error of the first of some stages that failed; a stage that was late leaves no time to run it again."""
        return next((self.errors[name] for name in names if self.outcomes.get(name) == FAILED), None)

    @property
    def degraded(self) -> tuple[str, ...]:
        """The stages whose fallback stands in because they failed or were late, in the order in which they ended."""
        return tuple(self.errors)


@dataclass(frozen=True)
class Stage(Generic[Given, Result]):
    """One stage of a request's path.

    A stage never fails a request: if it is switched off, late or fails, its fallback answers, and the trace says so.

    Args:
        name: of the switch, the metric and the trace.
        run: the stage, a function or a coroutine function.
        fallback: what stands in for its result.
        by: seconds after the start of the request by which it must be done. A coroutine is cut off then. A function is
            not started after that; its time is bounded by the number of candidates.
        enabled: whether the stage is wanted for what is given.
        passes: errors that end the request instead, e.g. an unknown listener.
    """

    name: str
    run: Callable[[Given], Awaitable[Result] | Result]
    fallback: Callable[[Given], Result]
    by: float
    enabled: Callable[[Given], bool] = lambda given: True
    passes: tuple[type[Exception], ...] = ()

    async def __call__(self, given: Given, trace: Trace) -> Result:
        """Run the stage for one request, and note in `trace` how it ended."""
        if self.name in trace.off or not self.enabled(given):
            trace.outcomes[self.name] = OFF
            return self.fallback(given)
        start = time.perf_counter()
        try:
            left = trace.began + self.by - start
            if left <= 0:
                raise TimeoutError(f"{self.name} was not begun in time")
            result = self.run(given)
            if inspect.iscoroutine(result):
                async with asyncio.timeout(left):
                    result = await result
            if self.name not in trace.errors:
                trace.outcomes[self.name] = OK
            return result  # type: ignore[return-value]  # it is no coroutine any more
        except self.passes:
            raise
        except Exception as error:
            late = isinstance(error, TimeoutError)
            trace.outcomes[self.name] = LATE if late else FAILED
            trace.errors[self.name] = error
            if not late and not isinstance(error, SegueError):
                log.exception("the stage %s failed", self.name)
            return self.fallback(given)
        finally:
            trace.seconds[self.name] = trace.seconds.get(self.name, 0.0) + time.perf_counter() - start
