"""The path of a request: hydrate, sources, candidates, filter, score, compose, in reading order."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Generic, TypeVar

import numpy as np

from segue.errors import SegueError
from surfaces.arms.assigned import Experiments
from surfaces.candidates import Candidates, SourceAnswer
from surfaces.catalogue import Catalogue
from surfaces.engine.ask_models import ask_model
from surfaces.engine.context import Context
from surfaces.engine.filtered import MERGE, filtered
from surfaces.engine.stage import CANDIDATE, FAILED, FEATURES, OK, Stage, Trace
from surfaces.filters.filter import Filter
from surfaces.hydrate import Features, UnknownListenerError, as_text, cold_start, with_request
from surfaces.request import Request
from surfaces.score import by_sources, score
from surfaces.sources.source import ModelSource, Source
from surfaces.versions import MODELS, Choice, Models, VersionSet

Page = TypeVar("Page")
Result = TypeVar("Result")

WHOLE, UNRANKED, CACHED, POPULAR = range(4)  # degradation levels
NO_SCORES: dict[str, np.ndarray] = {}


@dataclass(frozen=True)
class Deadlines:
    """Seconds after the start of a request by which a stage must be done."""

    features: float = 0.15
    sources: float = 0.45
    ranking: float = 0.8
    compose: float = 1.0


PATIENT = Deadlines(10, 20, 30, 40)  # for a command that waits for its models


@dataclass(frozen=True)
class Surface(Generic[Page]):
    """A place where items are shown: what may be shown there, and how it is arranged.

    Args:
        name: of the surface, as in the schema.
        sources: who proposes candidates; the most general source of a model comes first.
        filters: what may not be shown.
        compose: arranges the scored candidates; a pure function.
        empty: what stands in for a composed page.
        longest: how many items of a source's list are ranked; None for all.
        one_list: whether a page is one list, of the request's `k` items; else the request's `rows` say how long it is.
    """

    name: str
    sources: Sequence[Source]
    filters: Sequence[Filter]
    compose: Callable[[Context, Candidates, Mapping[str, np.ndarray]], Page]
    empty: Page
    longest: int | None = None
    one_list: bool = False


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
        experiments: those that run.
    """

    def __init__(
        self,
        models: Models,
        hydrate: Callable[[Request], Awaitable[Features]],
        catalogue: Catalogue,
        deadlines: Deadlines = Deadlines(),
        off: frozenset[str] = frozenset(),
        experiments: Experiments = Experiments(),
    ) -> None:
        self.models = models
        self.experiments = experiments
        self.catalogue = catalogue
        self.deadlines = deadlines
        self.off = off
        self._features: Stage[Request, Features] = Stage(
            FEATURES,
            hydrate,
            lambda request: with_request(cold_start(request.picks or (), request.timestamp), request),
            deadlines.features,
            passes=(UnknownListenerError,),
        )
        self._versions: Stage[Context, VersionSet] = Stage(
            "versions",
            lambda context: context.versions.chosen(context.arms.versions),
            lambda context: context.versions,
            deadlines.ranking,
        )
        self._ranking: Stage[tuple[Context, Candidates], Mapping[str, np.ndarray]] = Stage(
            "ranking", lambda given: score(models, *given), lambda given: NO_SCORES, deadlines.ranking
        )

    async def answer(self, surface: Surface[Page], request: Request) -> Answer[Page]:
        """The page of a request.

        Raises:
            UnknownListenerError: the online store does not know the listener.
        """
        return await self.by_versions(lambda versions, trace: self._answer(surface, request, versions, trace))

    async def by_versions(self, run: Callable[[VersionSet, Trace], Awaitable[Result]]) -> Result:
        """Run the stages of a request by one set of model versions.

        A server refuses a version that is gone. Then the versions are read again, and if they are others, the request
        begins anew with them. It also begins anew, with the stable versions, if a roll-out's candidate fails.

        Args:
            run: the stages; they note in the trace how they ended.
        """
        versions, trace = self.models.current, Trace(off=self.off)
        with self.models.calls.request():
            result = await run(versions, trace)
            if trace.refused:
                with contextlib.suppress(SegueError):
                    await self.models.refresh(self.deadlines.features)
                if self.models.current != versions:
                    trace = Trace(off=self.off)
                    result = await run(self.models.current, trace)
            if trace.candidate and (error := trace.failed(MODELS)):
                stable = Trace(off=self.off, outcomes={CANDIDATE: FAILED}, errors={CANDIDATE: error})
                return await run(self.models.current, stable)
            return result

    async def shadow(self, surface: Surface[Page], request: Request, candidate: Mapping[str, Choice]) -> Answer[Page]:
        """The page of a request by the versions of a candidate, which nobody sees.

        Raises:
            UnavailableError: a version is not served.
            UnknownListenerError: the online store no longer knows the listener.
        """
        versions = self.models.current.chosen({model: one for model, one in candidate.items() if model in MODELS})
        return await self._answer(surface, request, versions, Trace(time.perf_counter(), self.off))

    async def context(self, surface: str, request: Request, versions: VersionSet, trace: Trace) -> Context:
        """A request to a surface with its features and arms, which may switch stages off; see `answer`."""
        features = await self._features(request, trace)
        if request.picks is None and trace.outcomes[FEATURES] == OK:
            trace.features = as_text(features)
        arms = self.experiments.arms(surface, request, features)
        trace.off |= arms.off
        return Context(request, features, self.catalogue, versions, arms)

    async def with_versions(self, context: Context, trace: Trace) -> Context:
        """A request with the versions of its arms or its cohort; as it is if one of them does not answer, or failed."""
        if not context.arms.versions or CANDIDATE in trace.errors:
            return context
        versions = await self._versions(context, trace)
        trace.candidate = context.arms.cohort == "candidate" and self._versions.name not in trace.errors
        return replace(context, versions=versions)

    async def _answer(
        self, surface: Surface[Page], request: Request, versions: VersionSet, trace: Trace
    ) -> Answer[Page]:
        context = await self.with_versions(await self.context(surface.name, request, versions, trace), trace)
        answers = await self._ask(surface.sources, context, trace)
        candidates = await filtered(answers, surface.filters, context, trace, self.deadlines.ranking, surface.longest)
        nobody_answered = trace.errors.keys() & set(MODELS) and not any(answer.model for answer in answers)
        if nobody_answered or MERGE in trace.errors:
            return Answer(context, candidates, NO_SCORES, surface.empty, None, trace)
        if not candidates.item_ids:
            return Answer(context, candidates, NO_SCORES, surface.empty, WHOLE, trace)
        scores = await self._ranking((context, candidates), trace)
        level = WHOLE if scores else UNRANKED
        scores = scores or by_sources(candidates)
        compose: Stage[None, Page | None] = Stage(
            "compose", lambda _: surface.compose(context, candidates, scores), lambda _: None, self.deadlines.compose
        )
        page = await compose(None, trace)
        if page is None:
            return Answer(context, candidates, scores, surface.empty, None, trace)
        return Answer(context, candidates, scores, page, level, trace)

    async def _ask(self, sources: Sequence[Source], context: Context, trace: Trace) -> list[SourceAnswer]:
        """The answers of all sources, the models' first: those of one model in one call, all calls at the same time."""
        by_model: dict[str, list[ModelSource]] = {}
        calls: list[Awaitable[list[SourceAnswer]]] = []
        for source in sources:
            if source.name in trace.off:
                continue
            if isinstance(source, ModelSource):
                by_model.setdefault(source.model, []).append(source)
            else:
                calls.append(self._source(source.name, source.find)(context, trace))
        asked = [
            self._source(model, partial(ask_model, self.models, sources=together))(context, trace)
            for model, together in by_model.items()
        ]
        return [answer for found in await asyncio.gather(*asked, *calls) for answer in found]

    def _source(
        self, name: str, run: Callable[[Context], Awaitable[list[SourceAnswer]] | list[SourceAnswer]]
    ) -> Stage[Context, list[SourceAnswer]]:
        return Stage(name, run, lambda context: [], self.deadlines.sources)
