"""A rival is asked once its server has loaded its versions."""

import asyncio

import pytest

from segue.errors import UnavailableError
from surfaces.versions import Models
from tests.surfaces.conftest import FakeServer
from workloads.simulation.rivals import values
from workloads.simulation.rivals.values import loaded


class Loading(FakeServer):
    """A server that has just started, and loads a candidate while it is asked for versions."""

    def __init__(self, after):
        super().__init__({}, {})
        self.readings, self.after = 0, after

    async def status(self, model, timeout, **named):
        self.readings += 1
        if self.readings < 3:
            raise UnavailableError("The server has just started.", "")
        self.others = {("ranking", 2): 2, ("retrieval", 1): 1} if self.readings > self.after else {("retrieval", 1): 1}
        return await super().status(model, timeout, **named)


def test_a_version_that_was_just_pushed_is_waited_for():
    server = Loading(after=8)
    found = asyncio.run(loaded(Models(server), {"retrieval": 1, "ranking": 2}))
    assert server.readings > 8
    assert found.versions == {"retrieval": 1, "ranking": 2}


def test_a_version_that_is_never_loaded_is_an_error(monkeypatch):
    monkeypatch.setattr(values, "LOADED_SECONDS", 0.2)
    with pytest.raises(UnavailableError, match=r"Some of {'retrieval': 1, 'ranking': 2} are not loaded"):
        asyncio.run(loaded(Models(Loading(after=10**9)), {"retrieval": 1, "ranking": 2}))
