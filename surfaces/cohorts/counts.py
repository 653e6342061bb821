"""What the cohorts of a roll-out were answered: counted in memory, and written each second for who decides about it.

An answer counts as an error if a fallback stood in for any of its stages; a page without items does, too, because it
leaves no exposure that would tell. Each gateway writes its own counts, so that a look sums over the gateways, and a
killed gateway loses those of its last second.
"""

import asyncio
import logging
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from segue.errors import InputError, SegueError
from segue.yaml_settings import AtLeast0
from serving.rollouts.kept_counts import CountsKeeping
from serving.store.split import Split

if TYPE_CHECKING:
    from surfaces.gateway.pages import Decision

log = logging.getLogger(__name__)

SLOW_SECONDS = 0.2  # of a slow answer; beyond 0.45 the sources are late, and the answer is an error
WRITE_SECONDS = 1.0


@dataclass
class Answers:
    """What some requests were answered.

    Attributes:
        requests: their number.
        errors: those with a stage whose fallback stood in, or without an item.
        slow: those that took more than `SLOW_SECONDS`.
        seconds: of all of them.
        overlap: of the shadow, the sum of the shares of the first items shown that its page has among its first, too.
        newest: the instant of the newest, UTC; None without a request.
    """

    requests: AtLeast0 = 0
    errors: AtLeast0 = 0
    slow: AtLeast0 = 0
    seconds: float = 0.0
    overlap: float = 0.0
    newest: AwareDatetime | None = None

    def add(self, error: bool, seconds: float, at: datetime, overlap: float = 0.0) -> None:
        """Count an answer."""
        self += Answers(1, int(error), int(seconds > SLOW_SECONDS), seconds, overlap, at)

    def __iadd__(self, other: "Answers") -> "Answers":
        self.requests += other.requests
        self.errors += other.errors
        self.slow += other.slow
        self.seconds += other.seconds
        self.overlap += other.overlap
        self.newest = max(filter(None, (self.newest, other.newest)), default=None)
        return self


Cohorts = dict[str, Answers]  # by cohort; of the shadow, STABLE_SHADOW and SHADOW
STABLE_SHADOW, SHADOW = "shadow_stable", "shadow_candidate"  # the same requests, answered by each


class CohortCounts:
    """The counts of one gateway.

    Attributes:
        by_number: roll-out's number -> cohort -> its answers.
    """

    name, type_name = "segue_gateway_cohort_answers_total", "counter"
    help = "Answers of the cohorts of a roll-out: requests, and how many of them were errors or slow."

    def __init__(self) -> None:
        self.by_number: dict[int, Cohorts] = defaultdict(lambda: defaultdict(Answers))
        self._name = uuid.uuid4().hex
        self._written: dict[int, dict] = {}
        self._trouble = ""  # why the last attempt failed
        self._turn = threading.Lock()  # a write that was cancelled goes on in its thread; the last one comes after it

    def count(self, split: Split | None, decision: "Decision", began: float) -> None:
        """Count a decision, if a roll-out has put it into a cohort.

        Args:
            split: of the roll-out.
            decision: what is answered.
            began: the start of the request, seconds of `time.perf_counter`.
        """
        if split is not None and (cohort := decision.arms.get(split.salt)):
            error = bool(decision.page.level or decision.degraded or not decision.page.shelves)
            self.by_number[split.number][cohort].add(error, time.perf_counter() - began, decision.at)

    def lines(self) -> Iterator[str]:
        """The counts as lines of Prometheus' text."""
        for number, cohorts in sorted(self.by_number.items()):
            for cohort, answers in sorted(cohorts.items()):
                for kind in ("requests", "errors", "slow"):
                    labels = f'rollout="{number}",cohort="{cohort}",kind="{kind}"'
                    yield f"{self.name}{{{labels}}} {getattr(answers, kind)}"

    async def write(self, keeping: CountsKeeping) -> None:
        """Write what has changed; a failure is logged once, and the next attempt has it all."""
        for number, cohorts in list(self.by_number.items()):
            now = {cohort: asdict(answers) for cohort, answers in cohorts.items()}
            if now != self._written.get(number):
                try:
                    await asyncio.to_thread(self._put, keeping, number, now)
                    self._written[number], self._trouble = now, ""
                except (OSError, SegueError) as error:  # a full disk or a dead server costs no answer
                    if str(error) != self._trouble:
                        log.error("the counts of the roll-out's cohorts are not written: %s", error)
                    self._trouble = str(error)

    def _put(self, keeping: CountsKeeping, number: int, answers: dict) -> None:
        with self._turn:
            keeping.write(number, self._name, answers)

    async def keep(self, keeping: CountsKeeping, seconds: float = WRITE_SECONDS) -> None:
        """Write what has changed every second, for ever."""
        while True:
            await asyncio.sleep(seconds)
            await self.write(keeping)


def read_counts(keeping: CountsKeeping, number: int) -> Cohorts:
    """Return the answers by cohort that all gateways have written of a roll-out.

    Raises:
        InputError: some are damaged.
        UnavailableError: the server that keeps them does not answer.
    """
    total: Cohorts = defaultdict(Answers)
    for place, values in keeping.read(number):
        try:
            for cohort, answers in TypeAdapter(Cohorts).validate_python(values).items():
                total[cohort] += answers
        except ValidationError as refused:
            raise InputError(
                f"{place} must have a gateway's counts of a roll-out. {refused.errors()[0]['msg']}.",
                "Remove it: its counts are lost.",
            ) from None
    return total
