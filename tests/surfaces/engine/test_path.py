"""The path of a request: levels of degradation, switches, one set of versions."""

import asyncio

import pytest

from segue.errors import InputError, UnavailableError
from surfaces.compose import compose
from surfaces.engine.path import Path, Surface
from surfaces.filters.every import FILTERS
from surfaces.hydrate import UnknownListenerError, with_request
from surfaces.request import Request
from surfaces.sources.every import SOURCES
from surfaces.versions import Models
from tests.surfaces.catalogues import make_catalogue
from tests.surfaces.conftest import NOW, FakeServer

CATALOGUE = make_catalogue(
    {name: {} for name in "12345"}, popularity={"": {"5": 9.0, "1": 3.0}}, similar={"1": {"4": 0.5}}
)
LIST = Surface("list", SOURCES, FILTERS, compose, ())
REQUEST = Request("u1", NOW, k=4)


async def heard_one(request):
    """The features of a listener who heard item 1 last."""
    return with_request({"history_items": ["1"], "history_actions": ["play"]}, request)


def server() -> FakeServer:
    return FakeServer(old={"1": 9.0, "3": 8.0}, new={"2": 7.0}, following={"3": 0.5})


def answer(fake, request=REQUEST, hydrate=heard_one, off=(), break_after_refresh=None):
    async def ask():
        models = Models(fake)
        await models.refresh()
        if break_after_refresh:
            break_after_refresh(fake)
        return await Path(models, hydrate, CATALOGUE, off=frozenset(off)).answer(LIST, request)

    return asyncio.run(ask())


def down(*models, error=None):
    """Let some models of a fake server fail."""

    def break_it(fake):
        predict = fake.predict

        async def fail(model, *rest, **named):
            if model in models:
                raise error or UnavailableError(f"{model} is down", "")
            return await predict(model, *rest, **named)

        fake.predict = fail

    return break_it


def test_every_source_brings_candidates():
    found = answer(server())
    assert found.level == 0
    assert {item.item_id: item.sources for item in found.page} == {
        "4": ["because_you_listened"],
        "3": ["retrieval", "sequence"],
        "2": ["new_releases"],
        "5": ["popular"],
    }


@pytest.mark.parametrize(
    ("failing", "level", "degraded"),
    [
        (("ranking",), 1, ("ranking",)),
        (("sequence",), 0, ("sequence",)),
        (("retrieval",), 0, ("retrieval",)),
        (("retrieval", "sequence"), None, ("retrieval", "sequence")),
        (("retrieval", "sequence", "ranking"), None, ("retrieval", "sequence")),
    ],
)
def test_a_model_that_is_down_costs_its_part_only(failing, level, degraded):
    found = answer(server(), break_after_refresh=down(*failing))
    assert found.level == level
    assert set(found.trace.degraded) == set(degraded)
    assert bool(found.page) == (level is not None)


def test_without_ranking_the_order_is_that_of_the_sources():
    found = answer(server(), break_after_refresh=down("ranking"), off=("because_you_listened", "popular"))
    assert [item.item_id for item in found.page] == [
        "1",
        "3",
        "2",
    ]  # each is the first of a source; found first, shown first


def test_without_features_the_listener_has_defaults():
    async def broken(request):
        raise UnavailableError("the online store is down", "")

    fake = server()
    found = answer(fake, hydrate=broken)
    assert (found.level, found.trace.degraded) == (0, ("features",))
    assert fake.asked("retrieval")["history_items"].tolist()[0] == [""]
    assert fake.asked("retrieval")["surface"].tolist()[0] == "home"


def test_an_unknown_listener_is_refused():
    async def nobody(request):
        raise UnknownListenerError("nobody")

    with pytest.raises(UnknownListenerError):
        answer(server(), hydrate=nobody)


@pytest.mark.parametrize(
    ("off", "gone"), [("because_you_listened", "4"), ("popular", "5"), ("new_releases", "2"), ("sequence", "")]
)
def test_what_is_switched_off_is_not_asked(off, gone):
    fake = server()
    found = answer(fake, off=(off,))
    assert found.level == 0
    assert found.trace.degraded == ()
    assert gone not in [item.item_id for item in found.page]
    assert all(off not in item.sources for item in found.page)


def test_a_filter_that_fails_shows_nothing(monkeypatch):
    broken = [type(FILTERS[0])("market", lambda context, candidates: 1 / 0)]
    found = None

    async def ask():
        models = Models(server())
        await models.refresh()
        surface = Surface("list", SOURCES, broken, compose, ())
        return await Path(models, heard_one, CATALOGUE).answer(surface, REQUEST)

    found = asyncio.run(ask())
    assert (found.page, found.trace.degraded) == ((), ("filter market",))


def test_all_calls_of_a_request_use_one_set_of_versions():
    fake = server()
    seen = []
    predict = fake.predict

    async def push_meanwhile(model, inputs, signature, version, timeout):
        seen.append((model, version))
        if version == 1:  # a push while the first request runs: the old versions are gone
            fake.versions = dict.fromkeys(fake.signatures, 2)
        return await predict(model, inputs, signature, version, timeout)

    fake.predict = push_meanwhile
    found = answer(fake)
    assert found.level == 0
    assert found.context.versions.versions == {"retrieval": 2, "ranking": 2, "sequence": 2}
    last = seen[-3:]
    assert {model for model, _ in last} == {"retrieval", "sequence", "ranking"}
    assert {version for _, version in last} == {2}


def test_a_call_that_stays_refused_is_answered_with_what_there_is():
    found = answer(server(), break_after_refresh=down("ranking", error=InputError("wrong input", "")))
    assert (found.level, found.trace.degraded) == (1, ("ranking",))


def test_the_same_request_has_the_same_answer():
    assert answer(server()).page == answer(server()).page
