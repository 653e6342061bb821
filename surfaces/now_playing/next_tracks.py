"""What plays next: two models asked with the session's own actions, and the queue filled from their answers."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from surfaces.candidates import SourceAnswer, merge
from surfaces.engine.ask_models import ask_model
from surfaces.engine.context import Context
from surfaces.engine.page import ShownItem, ShownPage, one_list
from surfaces.engine.path import CACHED, POPULAR, UNRANKED, Deadlines
from surfaces.engine.stage import Stage, Trace
from surfaces.filters.every import FILTERS
from surfaces.model_inputs import model_inputs
from surfaces.now_playing.chips import wishes_of
from surfaces.now_playing.queue import fill, shaped
from surfaces.now_playing.sessions import SCORE, with_session
from surfaces.now_playing.state import Promise, Session, SessionState
from surfaces.now_playing.wishes import Wishes, offsets, total
from surfaces.sources.popular import popular
from surfaces.sources.source import ModelSource
from surfaces.sources.two_tower import two_tower
from surfaces.versions import SEQUENCE, Models

POLICY, CHIPS = "now-playing", "chips"
QUEUE = 10  # items that are promised at least
CANDIDATES = 300  # of each model: 500 add 2 % to the MRR and 3 ms to the request
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
    for each item, 50 ms for ten of them beside 3 ms. Chips add the offsets that `generate` would add.

    Without one of the two models the other one's scores decide (level 1). Without both, what was promised stays (2), or
    the popular items of the market are answered (3). Only a whole answer is promised.

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
    state = session.state
    version = context.versions.versions.get(SEQUENCE, 0)
    promised = tuple(one for one in state.queue if one.version == version)
    length = max(k, QUEUE)
    if len(promised) >= length:
        return Next(promised, page(promised))  # nothing has changed since it was promised
    state = replace(state, queue=promised)
    context = replace(
        context,
        features=with_session(context.features, session),
        request=replace(context.request, dislikes=state.dislikes),
    )
    wished = total([wishes_of(chip, context.catalogue) for chip in state.chips])
    asked, nearest = (answered_by(models, source, deadlines.sources) for source in sources(wished))
    named: Stage[list[str], list[SourceAnswer]] = Stage(
        CHIPS, lambda ids: score_items(models, context, ids), lambda ids: [], deadlines.sources, enabled=bool
    )
    composed: Stage[list[SourceAnswer], tuple[Promise, ...]] = Stage(
        "compose",
        lambda answers: drawn(context, state, answers, wished, mix, length, seed, version),
        lambda answers: (),
        deadlines.compose,
    )
    found = await asyncio.gather(
        asked(context, trace), nearest(context, trace), named(wished_items(context, wished), trace)
    )
    if queue := await composed([answer for answers in found for answer in answers], trace):
        whole = found[0] and found[1]
        return Next(queue, page(queue)) if whole else Next(None, page(queue).degraded_to(UNRANKED))
    if state.queue:
        return Next(None, page(state.queue).degraded_to(CACHED))
    items = popular.find(context)[0].item_ids[:length].tolist()
    return Next(None, page(tuple(Promise(item, 1.0, 0.0, (popular.name,)) for item in items)).degraded_to(POPULAR))


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
    scores = outputs["scores"][0]
    known = scores > np.finfo(scores.dtype).min
    return [SourceAnswer(CHIPS, np.array(item_ids)[known], scores[known], SEQUENCE)]


def wished_items(context: Context, wished: Wishes) -> list[str]:
    """The most played items with an offset of their own by the chips: at a large catalogue, `next` may miss them."""
    catalogue, request = context.catalogue, context.request
    named = replace(wished, newer=0.0, rarer=0.0)
    rows = np.flatnonzero(offsets(named, catalogue, np.arange(len(catalogue), dtype=np.int32)) > 0)
    rows = rows[catalogue.allowed(rows, request.market, request.content_types)]
    rows = rows[catalogue.release_days[rows] <= request.timestamp // 86_400]
    best = np.argsort(-catalogue.popularity[""][rows], kind="stable")[:WISHED]
    return catalogue.item_ids[rows[best]].tolist()


def drawn(
    context: Context,
    state: SessionState,
    answers: list[SourceAnswer],
    wished: Wishes,
    mix: Mapping[str, float],
    length: int,
    seed: int,
    version: int,
) -> tuple[Promise, ...]:
    """The queue that the answers of the models fill; empty without answers."""
    if not any(answer.source != CHIPS for answer in answers):
        return ()
    candidates = merge(answers, context.catalogue)
    for one in FILTERS:
        kept = one.keep(context, candidates)
        candidates = candidates if kept.all() else candidates.keep(kept)
    scores = shaped(context, state, candidates, wished, mix)
    return fill(state.queue, candidates, scores, length, seed, version)


def page(queue: tuple[Promise, ...]) -> ShownPage:
    """A queue as a page of one list."""
    items = [
        ShownItem(one.item_id, 1, place, place, one.propensity, False, {SCORE: one.score}, one.sources)
        for place, one in enumerate(queue, 1)
    ]
    return one_list(items, POLICY, "Up next")
