"""The next items by the models of a small trained home: skip reaction, and wishes as the model's own steering."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from segue.settings import Home
from surfaces.candidates import SourceAnswer, merge
from surfaces.engine.context import Context
from surfaces.engine.path import PATIENT
from surfaces.engine.stage import Trace
from surfaces.home.surface import home_context
from surfaces.hydrate import OnlineFeatures
from surfaces.model_inputs import model_inputs
from surfaces.now_playing.next_tracks import next_tracks
from surfaces.now_playing.state import Action, Chip, Session, steer, take
from surfaces.now_playing.wishes import Wishes, offsets
from surfaces.read_catalogue import read_catalogue
from surfaces.request import Request
from surfaces.score import score
from surfaces.versions import RETRIEVAL, SEQUENCE, Models

pytestmark = pytest.mark.slow
LISTENERS, DRAWS, FIVE = 20, 10, 5


class Stand:
    """A home with its models on a server, and what a request needs."""

    def __init__(self, home: Home, address: str) -> None:
        self.address = address
        self.catalogue = read_catalogue(home)
        self.features = OnlineFeatures(home)

    def run(self, conversation):
        """The result of a coroutine function that takes the models."""
        from serving.client.async_client import AsyncClient

        async def whole():
            async with AsyncClient(self.address) as client:
                models = Models(client)
                await models.refresh()
                return await conversation(models)

        return asyncio.run(whole())

    def context(self, models, user: str, request_id: str = "r") -> Context:
        """The context of a request of a listener, an hour after the end of the log."""
        at = self.features.newest([]) + timedelta(hours=1)
        request = Request(user, at, "now_playing", k=FIVE, session_id="s", request_id=request_id)
        return Context(request, self.features.hydrate(request), self.catalogue, models.current)

    async def five(self, models, context: Context, session: Session) -> list[str]:
        """The next five items of a session."""
        trace, mix = Trace(), home_context(context).content_mix
        found = await next_tracks(
            models, context, session, mix, FIVE, context.request.seed("next"), trace, PATIENT
        )  # fmt: skip
        assert not trace.errors
        assert found.page.level == 0
        return [item.item_id for item in found.page.items[:FIVE]]

    def genres(self, items: list[str]) -> Counter:
        """How many of some items have each genre."""
        return Counter(name for item in items for name in self.catalogue.genres[self.catalogue.index[item]])


@pytest.fixture(scope="module")
def stand(trained):
    """The trained home of the nano world, served."""
    from serving.run_server import ModelServer
    from serving.server_config import ServerConfig

    home = trained.home
    with ModelServer(ServerConfig(model_config_file=home.models / "models.config")) as server:
        yield Stand(home, server.address)


def test_two_skips_of_a_genre_halve_its_share_of_the_next_five(stand):
    async def conversation(models):
        before, after = [], []
        for number in range(1, LISTENERS + 1):
            contexts = [stand.context(models, f"u{number:05d}", f"r{draw}") for draw in range(DRAWS)]
            session = Session(contexts[0].request.user_id)
            drawn = [item for context in contexts for item in await stand.five(models, context, session)]
            name, count = stand.genres(drawn).most_common(1)[0]
            skipped = [item for item in dict.fromkeys(drawn) if name in stand.genres([item])][:2]
            if len(skipped) < 2:
                continue
            for place, item in enumerate(skipped):
                session = take(session, Action(f"e{place}", item, "skip", at_of(contexts[0], place)))
            drawn_after = [item for context in contexts for item in await stand.five(models, context, session)]
            before.append(count / len(drawn))
            after.append(stand.genres(drawn_after)[name] / len(drawn_after))
        return np.array(before), np.array(after)

    before, after = stand.run(conversation)
    assert len(before) > LISTENERS / 2
    assert after.mean() <= before.mean() / 2
    assert (after <= before / 2).mean() > 0.8


def at_of(context: Context, place: int) -> datetime:
    """An instant shortly before a request."""
    return context.request.at - timedelta(seconds=60 - place)


def test_a_genre_chip_fills_most_of_the_next_five(stand):
    async def conversation(models):
        name = stand.genres(stand.catalogue.item_ids[:-1].tolist()).most_common(3)[-1][0]
        shares = {}
        for chips in ((), (Chip("genre", name),)):
            drawn = []
            for number in range(1, LISTENERS + 1):
                context = stand.context(models, f"u{number:05d}")
                drawn += await stand.five(models, context, steer(Session(context.request.user_id), chips))
            shares[bool(chips)] = stand.genres(drawn)[name] / len(drawn)
        return shares

    shares = stand.run(conversation)
    assert shares[True] > max(0.6, shares[False])


@pytest.mark.parametrize("wished", ["genres", "creators", "types", "newer"])
def test_wishes_add_what_the_models_own_steering_adds(stand, wished):
    """`generate` at temperature 0 takes the best item by the model's scores and its steering, as the sums here do."""
    catalogue = stand.catalogue
    names = {
        "genres": catalogue.genre_names[0],
        "creators": str(catalogue.creator_ids[5]),
        "types": catalogue.types[-1],
    }
    wishes = Wishes(newer=2.0) if wished == "newer" else Wishes(**{wished: {names[wished]: 3.0}})
    steering = (
        {"newer": 2.0} if wished == "newer" else {f"more_{wished}": [names[wished]], f"more_{wished}_weights": [3.0]}
    )

    async def conversation(models):
        agreed = []
        for number in range(1, LISTENERS + 1):
            context = stand.context(models, f"u{number:05d}")
            asked = {**context.features, **steering, "length": 1, "k": 1000}
            outputs = {}
            for signature in ("next", "generate"):
                inputs = model_inputs(asked, context.versions.inputs(SEQUENCE, signature))
                outputs[signature] = await models.predict(context.versions, SEQUENCE, inputs, signature)
            found = outputs["next"]
            answer = SourceAnswer("next", found["item_ids"][0].astype(str), found["scores"][0], SEQUENCE)
            candidates = merge([answer], catalogue)
            scores = candidates.scores[SEQUENCE] + offsets(wishes, catalogue, candidates.rows)
            best = candidates.item_ids[int(np.argmax(scores))]
            agreed.append(best == outputs["generate"]["item_ids"][0].astype(str)[0])
        return agreed

    assert all(stand.run(conversation))


def test_the_filters_hold_for_what_is_drawn(stand):
    async def conversation(models):
        context = stand.context(models, "u00001")
        kind = stand.catalogue.types[0]
        request = replace(context.request, content_types=(kind,))
        context = replace(context, request=request, features={**context.features, "content_types": [kind]})
        return kind, await stand.five(models, context, Session("u00001"))

    kind, items = stand.run(conversation)
    assert {str(stand.catalogue.content_types[stand.catalogue.index[item]]) for item in items} == {kind}


def test_requests_that_share_a_call_get_the_answers_of_calls_of_their_own(stand):
    """Lists of different lengths: what fills the shorter ones is no candidate and no score."""

    async def conversation(models):
        async def scored(number: int) -> list[np.ndarray]:
            context = stand.context(models, f"u{number:05d}")
            items = stand.catalogue.item_ids[number : number + 3 * number]
            answers = [SourceAnswer(name, items, -5.0 - np.arange(len(items)), name) for name in (RETRIEVAL, SEQUENCE)]
            outputs = await score(models, context, merge(answers, stand.catalogue))
            return [outputs[name] for name in sorted(outputs)]

        alone = [await scored(number) for number in range(1, LISTENERS + 1)]
        return alone, await asyncio.gather(*(scored(number) for number in range(1, LISTENERS + 1)))

    for number, (alone, shared) in enumerate(zip(*stand.run(conversation), strict=True), 1):
        assert len(shared[0]) == 3 * number
        np.testing.assert_allclose(shared, alone, atol=1e-4)
