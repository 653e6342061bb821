"""The path of a request: hydrate, sources, candidates, filter, score, compose, in reading order."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any, Generic, TypeVar

import numpy as np

from segue.errors import SegueError
from surfaces.candidates import Candidates, SourceAnswer, merge
from surfaces.catalogue import Catalogue
from surfaces.engine.ask_models import ask_model
from surfaces.engine.context import Context
from surfaces.engine.stage import Stage, Trace
from surfaces.filters.filter import Filter
from surfaces.hydrate import Features, UnknownListenerError, cold_start, with_request
from surfaces.request import Request
from surfaces.score import by_sources, score
from surfaces.sources.source import Source
from surfaces.versions import Models, VersionSet

Page = TypeVar("Page")

WHOLE, UNRANKED, CACHED, POPULAR = range(4)  # degradation levels
NO_SCORES: dict[str, np.ndarray] = {}


@dataclass(frozen=True)
class Deadlines:
    """Seconds after the start of a request by which a stage must be done."""

    hydrate: float = 0.15
    sources: float = 0.45
    score: float = 0.8
    compose: float = 1.0


PATIENT = Deadlines(10, 20, 30, 40)  # for a command that waits for its models


@dataclass(frozen=True)
class Surface(Generic[Page]):
    """A place where items are shown: what may be shown there, and how it is arranged.

    Args:
        name: of the surface, as in the schema.
        sources: who proposes candidates; sources of one model are neighbours.
        filters: what may not be shown.
        compose: arranges the scored candidates; a pure function.
        empty: what stands in for a composed page.
    """

    name: str
    sources: Sequence[Source]
    filters: Sequence[Filter]
    compose: Callable[[Context, Candidates, Mapping[str, np.ndarray]], Page]
    empty: Page


@dataclass(frozen=True)
class Answer(Generic[Page]):
    """What the path made of a request.

    Attributes:
        context: the request with its features and model versions.
        candidates: what was scored, `n` items.
        scores: the outputs of the ranking model, or what stood in for them, each `[n]`.
        page: the composed page; the surface's empty page without candidates.
        level: 0 whole, 1 without ranking; `None` if no model found candidates, so that a stored page must stand in.
        trace: what the stages did.
    """

    context: Context
    candidates: Candidates
    scores: Mapping[str, np.ndarray]
    page: Page
    level: int | None
    trace: Trace = field(compare=False)


class Path:
    """Answers requests by the models of one server. One object serves all requests of a process.

    Args:
        models: of the model server.
        hydrate: the features of a request.
        catalogue: what is known about the items.
        deadlines: of the stages.
        off: the names of stages, sources and filters that are switched off.
    """

    def __init__(
        self,
        models: Models,
        hydrate: Callable[[Request], Awaitable[Features]],
        catalogue: Catalogue,
        deadlines: Deadlines = Deadlines(),
        off: frozenset[str] = frozenset(),
    ) -> None:
        self.models = models
        self.catalogue = catalogue
        self.deadlines = deadlines
        self._off = off
        self._hydrate: Stage[Request, Features] = Stage(
            "features",
            hydrate,
            lambda request: with_request(cold_start(request.picks or (), request.timestamp), request),
            deadlines.hydrate,
            passes=(UnknownListenerError,),
        )
        self._score: Stage[tuple[Context, Candidates], Mapping[str, np.ndarray]] = Stage(
            "ranking", lambda given: score(models, *given), lambda given: NO_SCORES, deadlines.score
        )

    async def answer(self, surface: Surface[Page], request: Request) -> Answer[Page]:
        """The page of a request. Once a server refuses a call, the versions are read again and the path begins anew.

        Raises:
            UnknownListenerError: the online store does not know the listener.
        """
        versions = self.models.current
        answer = await self._answer(surface, request, versions)
        if answer.trace.refused:
            try:
                fresh = await self.models.refresh(self.deadlines.hydrate)
            except SegueError:
                return answer
            if fresh != versions:
                return await self._answer(surface, request, fresh)
        return answer

    async def context(self, request: Request, versions: VersionSet, trace: Trace) -> Context:
        """A request with its features; see `answer`."""
        return Context(request, await self._hydrate(request, trace), self.catalogue, versions)

    async def _answer(self, surface: Surface[Page], request: Request, versions: VersionSet) -> Answer[Page]:
        trace = Trace(off=self._off)
        context = await self.context(request, versions, trace)
        answers = await self._ask(surface.sources, context, trace)
        candidates = merge(answers, self.catalogue)
        candidates = await self._filtered(surface.filters, context, candidates, trace)
        if not any(answer.model for answer in answers) and trace.errors:
            return Answer(context, candidates, NO_SCORES, surface.empty, None, trace)
        if not candidates.item_ids:
            return Answer(context, candidates, NO_SCORES, surface.empty, WHOLE, trace)
        scores = await self._score((context, candidates), trace)
        level = WHOLE if scores else UNRANKED
        scores = scores or by_sources(candidates)
        compose: Stage[Any, Page | None] = Stage(
            "compose", lambda _: surface.compose(context, candidates, scores), lambda _: None, self.deadlines.compose
        )
        page = await compose(None, trace)
        if page is None:
            return Answer(context, candidates, scores, surface.empty, None, trace)
        return Answer(context, candidates, scores, page, level, trace)

    async def _ask(self, sources: Sequence[Source], context: Context, trace: Trace) -> list[SourceAnswer]:
        """The answers of all sources: those of one model in one call, and all calls at the same time."""
        wanted = [source for source in sources if source.name not in trace.off]
        calls: list[Awaitable[list[SourceAnswer]]] = []
        for model, group in groupby(wanted, lambda source: getattr(source, "model", "")):
            together = list(group)
            if model:
                calls.append(self._source(model, partial(ask_model, self.models, sources=together))(context, trace))
            else:
                calls.extend(self._source(source.name, source.find)(context, trace) for source in together)
        return [answer for found in await asyncio.gather(*calls) for answer in found]

    def _source(
        self, name: str, run: Callable[[Context], Awaitable[list[SourceAnswer]] | list[SourceAnswer]]
    ) -> Stage[Context, list[SourceAnswer]]:
        return Stage(name, run, lambda context: [], self.deadlines.sources)

    async def _filtered(
        self, filters: Sequence[Filter], context: Context, candidates: Candidates, trace: Trace
    ) -> Candidates:
        """The candidates that all filters keep. None is kept if a filter fails, because it may be a matter of law."""
        for one in filters:
            if one.name not in trace.off and candidates.item_ids:
                stage: Stage[Candidates, Candidates] = Stage(
                    f"filter {one.name}",
                    lambda found, one=one: found.keep(one.keep(context, found)),
                    lambda found: found.keep(np.zeros(len(found.item_ids), bool)),
                    self.deadlines.score,
                )
                candidates = await stage(candidates, trace)
        return candidates
