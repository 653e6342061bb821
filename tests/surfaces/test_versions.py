"""Model versions: one set a request, followed as labels move."""

import asyncio

import pytest

from segue.errors import InputError, UnavailableError
from surfaces.versions import Models, VersionSet
from tests.surfaces.conftest import FakeServer


class Pushing(FakeServer):
    """A server whose labels move one by one while they are read."""

    def __init__(self):
        super().__init__({}, {}, following={})
        self.readings = 0

    async def status(self, model, label, timeout):
        self.readings += 1
        if self.readings == 2:  # retrieval was read before, the other models are read after
            self.versions = dict.fromkeys(self.versions, 2)
        return await super().status(model, label, timeout)


def test_a_reading_that_lies_on_both_sides_of_a_push_does_not_count():
    async def read():
        return await Models(Pushing()).refresh()

    assert asyncio.run(read()).versions == {"retrieval": 2, "ranking": 2, "sequence": 2}


def test_the_sequence_model_need_not_be_served():
    async def read():
        return await Models(FakeServer({}, {})).refresh()

    assert asyncio.run(read()).versions == {"retrieval": 1, "ranking": 1}


def test_while_the_server_is_down_calls_fail_at_once_and_the_last_set_stays():
    server = FakeServer({}, {})

    async def gone(*_, **__):
        raise UnavailableError("no answer", "")

    async def go_down():
        models = Models(server)
        before = await models.refresh()
        status, server.status, server.predict = server.status, gone, None  # a call would be an error of another type
        with pytest.raises(UnavailableError):
            await models.refresh()
        with pytest.raises(UnavailableError):
            await models.predict(before, "retrieval", {})
        assert models.current == before
        server.status = status
        await models.refresh()
        return models.down

    assert asyncio.run(go_down()) is None


def test_what_is_not_served_is_named():
    versions = VersionSet({"retrieval": 1}, {"retrieval": {"serving_default": {"k": {}}}})
    assert versions.inputs("retrieval") == {"k": {}}
    with pytest.raises(UnavailableError, match="'ranking'"):
        versions.inputs("ranking")
    with pytest.raises(InputError, match="no signature 'generate'"):
        versions.inputs("retrieval", "generate")
