"""What plays next: two models asked with the session's own actions, and the queue filled from their answers."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from events.journal.records import PROMISED
from surfaces.candidates import Candidates, SourceAnswer
from surfaces.engine.ask_models import ask_model
from surfaces.engine.context import Context
from surfaces.engine.filtered import MERGE, filtered
from surfaces.engine.finalize import STAND_IN_POOL, allowed_items, by_source
from surfaces.engine.page import EMPTY, ShownItem, ShownPage, one_list
from surfaces.engine.path import CACHED, POPULAR, UNRANKED, Deadlines
from surfaces.engine.stage import OFF, Stage, Trace
from surfaces.filters.every import FILTERS
from surfaces.hydrate import cold_start
from surfaces.model_inputs import model_inputs
from surfaces.now_playing.chips import all_wishes
from surfaces.now_playing.queue import fill, had, shaped
from surfaces.now_playing.sessions import SCORE, with_session
from surfaces.now_playing.state import Promise, Session, SessionState
from surfaces.now_playing.wishes import Wishes, offsets
from surfaces.request import Request
from surfaces.sources.popular import most_played, popular
from surfaces.sources.source import DAY_SECONDS, ModelSource
from surfaces.sources.two_tower import two_tower
from surfaces.versions import RETRIEVAL, SEQUENCE, Models

POLICY, CHIPS = "now-playing", "chips"
QUEUE = 10  # items that are promised at least
CANDIDATES = 300  # of each model: with 500, held-out plays of the demo world are predicted no better
WISHED = 300  # further candidates that the chips name, the most played ones


@dataclass(frozen=True)
class Next:
    """What a request for the next items found.

    Attributes:
        queue: what is promised now, to be kept in the session; None if a fallback answered.
        page: what is shown, one list.
    """

    queue: tuple[Promise, ...] | None
    page: ShownPage


async def next_tracks(
    models: Models,
    context: Context,
    session: Session,
    mix: Mapping[str, float],
    k: int,
    seed: int,
    trace: Trace,
    deadlines: Deadlines,
) -> Next:
    """The next `k` items or more, as many as are promised.

    The draw is the gateway's own and not the signature `generate`: that tells no propensities and runs the transformer
    for each item, 30 ms for 20 of them beside 3 ms (docs/benchmarks.md). Chips add the offsets that `generate` would.

    If one of the two models fails, the other one's scores decide (level 1); one that is switched off is not missed.
    Without both, what was promised stays (2), or the popular items of the market that the session has not had are
    answered (3). Only a whole answer is promised. All of them pass the request's filters, also what was promised to an
    earlier request.

    Args:
        models: of the model server.
        context: of the request, with the features of the online store.
        session: with all that the request brought.
        mix: content type -> share that fits the moment; empty for no calibration.
        k: how many items to answer at least.
        seed: of the draw.
        trace: of the request.
        deadlines: of the stages.
    """
    features, picks, actions = context.features, context.request.picks, session.state.actions
    if picks and actions:  # they were picked before the session began
        features = features | cold_start(picks, int(actions[0].ts.timestamp()))
    context = replace(
        context,
        features=with_session(features, session),
        request=replace(context.request, dislikes=session.state.dislikes),
    )
    version = context.versions.versions.get(SEQUENCE, 0)
    queued = by_source({one.item_id: one.sources for one in session.state.queue})
    allowed = set(await allowed_items(context, queued, trace))
    state = replace(session.state, queue=tuple(one for one in session.state.queue if one.item_id in allowed))
    stays = state.conditions == conditions(context.request)
    promised = tuple(one for one in state.queue if stays and one.version == version)
    length = max(k, QUEUE)
    if len(promised) >= length:
        return Next(promised, page(promised, len(promised)))  # nothing has changed since it was promised
    wished = all_wishes(state.chips, context.catalogue)
    asked, nearest = (answered_by(models, source, deadlines.sources) for source in sources(wished))
    named: Stage[list[str], list[SourceAnswer]] = Stage(
        CHIPS,
        lambda ids: score_items(models, context, ids),
        lambda ids: [],
        deadlines.sources,
        enabled=lambda ids: bool(ids) and SEQUENCE not in trace.off,
    )
    found = await asyncio.gather(
        asked(context, trace), nearest(context, trace), named(wished_items(context, wished), trace)
    )
    answers = [answer for some in found for answer in some]
    candidates = await filtered(answers, FILTERS, context, trace, deadlines.ranking)
    composed: Stage[Candidates, tuple[Promise, ...]] = Stage(
        "compose",
        lambda candidates: fill(
            promised,
            candidates,
            shaped(context, replace(state, queue=promised), candidates, wished, mix),
            length,
            seed,
            version,
        ),
        lambda candidates: (),
        deadlines.compose,
    )
    answered = (found[0] or found[1]) and MERGE not in trace.errors
    if answered and (queue := await composed(candidates, trace)):
        by_model = ((SEQUENCE, found[0]), (RETRIEVAL, found[1]))
        whole = all(some or trace.outcomes[model] == OFF for model, some in by_model)
        shown = page(queue, len(promised))
        return Next(queue, shown) if whole else Next(None, shown.degraded_to(UNRANKED))
    if state.queue:
        return Next(None, page(state.queue).degraded_to(CACHED))
    finish: Stage[int, ShownPage] = Stage(
        "finalize", lambda k: popular_tracks(context, state, k, trace), lambda k: EMPTY, math.inf
    )
    return Next(None, (await finish(length, trace)).degraded_to(POPULAR))


def conditions(request: Request) -> tuple:
    """What a request says about the items that may be played; a queue is promised for the same conditions only."""
    return request.market, request.content_types, request.explicit


def sources(wished: Wishes) -> tuple[ModelSource, ModelSource]:
    """The questions for the likeliest next items, and for the items nearest to the listener."""
    question = {"k": CANDIDATES, **({"heard": "exclude"} if wished.unheard else {})}
    return ModelSource(SCORE, SEQUENCE, lambda context: question), replace(two_tower, ask=lambda context: question)


def answered_by(models: Models, source: ModelSource, by: float) -> Stage[Context, list[SourceAnswer]]:
    """The stage that asks one model; no answer stands in for it."""
    return Stage(source.model, lambda context: ask_model(models, context, [source]), lambda context: [], by)


async def score_items(models: Models, context: Context, item_ids: list[str]) -> list[SourceAnswer]:
    """The sequence model's scores of some items as the next one; items that the model does not know are left out."""
    inputs = model_inputs({**context.features, "candidate_ids": item_ids}, context.versions.inputs(SEQUENCE, "score"))
    outputs = await models.predict(context.versions, SEQUENCE, inputs, "score")
    scores = outputs["scores"][0, : len(item_ids)]
    known = scores > np.finfo(scores.dtype).min
    return [SourceAnswer(CHIPS, np.array(item_ids)[known], scores[known], SEQUENCE)]


def wished_items(context: Context, wished: Wishes) -> list[str]:
    """The most played items with an offset of their own by the chips: at a large catalogue, `next` may miss them."""
    catalogue, request = context.catalogue, context.request
    if not wished.names_items:  # most requests have no chips, and a look at all items takes milliseconds
        return []
    named = replace(wished, newer=0.0, rarer=0.0)
    rows = np.flatnonzero(offsets(named, catalogue, np.arange(len(catalogue), dtype=np.int32)) > 0)
    rows = rows[catalogue.allowed(rows, request.market, request.content_types)]
    rows = rows[catalogue.release_days[rows] <= request.timestamp // DAY_SECONDS]
    best = np.argsort(-catalogue.popularity[""][rows], kind="stable")[:WISHED]
    return catalogue.item_ids[rows[best]].tolist()


async def popular_tracks(context: Context, state: SessionState, k: int, trace: Trace) -> ShownPage:
    """The first `k` of the market's popular items that the request's filters keep and that the session has not had."""
    allowed = await allowed_items(context, [most_played(context, STAND_IN_POOL)], trace)
    not_again = had(state)
    chosen = [item for item in allowed if item not in not_again][:k]
    return page(tuple(Promise(item, 1.0, 0.0, (popular.name,)) for item in chosen))


def page(queue: tuple[Promise, ...], promised: int = 0) -> ShownPage:
    """A queue as a page of one list.

    Args:
        queue: the next item first.
        promised: how many items an earlier request drew: that request has their decision, and this one only shows them.
    """
    items = [
        ShownItem(
            one.item_id,
            1,
            place,
            place,
            one.propensity,
            False,
            {SCORE: one.score},
            (PROMISED, *one.sources) if place <= promised else one.sources,
        )
        for place, one in enumerate(queue, 1)
    ]
    return one_list(items, POLICY, "Up next")
