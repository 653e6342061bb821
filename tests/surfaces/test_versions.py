"""Model versions: one set a request, followed as labels move."""

import asyncio

import numpy as np
import pytest

from segue.errors import InputError, UnavailableError
from surfaces.versions import Models, VersionSet
from tests.surfaces.conftest import FakeServer


class Pushing(FakeServer):
    """A server whose labels move one by one while they are read."""

    def __init__(self):
        super().__init__({}, {}, following={})
        self.readings = 0

    async def status(self, model, timeout, **named):
        self.readings += 1
        if self.readings == 2:  # retrieval was read before, the other models are read after
            self.versions = dict.fromkeys(self.versions, 2)
        return await super().status(model, timeout, **named)


def test_a_reading_that_lies_on_both_sides_of_a_push_does_not_count():
    async def read():
        return await Models(Pushing()).refresh()

    assert asyncio.run(read()).versions == {"retrieval": 2, "ranking": 2, "sequence": 2}


def test_the_sequence_model_need_not_be_served():
    async def read():
        return await Models(FakeServer({}, {})).refresh()

    assert asyncio.run(read()).versions == {"retrieval": 1, "ranking": 1}


def test_an_arm_chooses_a_version_by_its_label_or_number():
    server = FakeServer({}, {}, following={})
    server.others = {("ranking", "canary"): 7, ("retrieval", 6): 6}

    async def read():
        models = Models(server)
        models.choices = frozenset({("ranking", "canary"), ("retrieval", 6), ("sequence", "gone"), ("ranking", 99)})
        first = await models.refresh()
        server.versions = dict.fromkeys(server.versions, 8)  # a push moves `stable` alone
        return first, await models.refresh()

    for stable, now in zip((1, 8), asyncio.run(read()), strict=True):
        assert now.versions == dict.fromkeys(("retrieval", "ranking", "sequence"), stable)
        both = now.chosen({"ranking": "canary", "retrieval": 6})
        assert both.versions == {"retrieval": 6, "ranking": 7, "sequence": stable}
        assert both.inputs("ranking")
        assert now.chosen({"ranking": "stable"}).versions == now.versions
        # Of two versions one is not there: a mixture with `stable` was never evaluated.
        for missing in ({"sequence": "gone"}, {"ranking": 99}, {"ranking": "canary", "sequence": "gone"}):
            with pytest.raises(UnavailableError, match=r"No version ('gone'|99) of the model"):
                now.chosen(missing)


def test_a_choice_that_the_server_refuses_to_describe_does_not_hold_up_the_others():
    server = FakeServer({}, {})
    server.others = {("ranking", "canary"): 7}
    metadata = server.metadata

    async def gone(model, version, timeout):
        if version == 7:  # unloaded after its status was read
            raise InputError("Servable not found", "")
        return await metadata(model, version, timeout)

    server.metadata = gone

    async def read():
        models = Models(server)
        models.choices = frozenset({("ranking", "canary")})
        return await models.refresh()

    now = asyncio.run(read())
    assert now.versions == {"retrieval": 1, "ranking": 1}
    with pytest.raises(UnavailableError):
        now.chosen({"ranking": "canary"})


@pytest.mark.slow
def test_a_real_server_answers_by_the_chosen_version_until_its_label_goes(tmp_path, saved_models):
    from serving.client.async_client import AsyncClient
    from serving.run_server import ModelServer
    from serving.server_config import ServerConfig
    from serving.store import model_store
    from serving.store.relabel import move_labels

    root = tmp_path / "models"
    model_store.push(root, {"retrieval": saved_models["one"], "ranking": saved_models["one"]})
    model_store.push(root, {"ranking": saved_models["two"]}, label="canary")
    model_store.promote(root, 2, "trial")
    model_store.promote(root, 1, "canary")

    async def talk(address):
        async with AsyncClient(address) as client:
            models = Models(client)
            models.choices = frozenset({("ranking", "trial"), ("ranking", 2)})
            now = await models.refresh()
            scales = []
            for chosen in (now, now.chosen({"ranking": "trial"}), now.chosen({"ranking": 2})):
                outputs = await models.predict(chosen, "ranking", {"x": np.ones((1, 2), np.float32)})
                scales.append(float(outputs["y"][0, 0]))
            await asyncio.to_thread(model_store.drop, root, "trial", lambda *texts: move_labels(address, *texts))
            after = await models.refresh()
            with pytest.raises(UnavailableError, match="'trial' of the model 'ranking'"):
                after.chosen({"ranking": "trial"})
            return scales, after.versions

    with ModelServer(ServerConfig(model_config_file=root / "models.config")) as server:
        assert asyncio.run(talk(server.address)) == ([1.0, 2.0, 2.0], {"retrieval": 1, "ranking": 1})


def test_a_call_that_hangs_holds_up_the_next_ones_no_longer_than_the_longest_call():
    server = FakeServer({}, {})
    timeouts = []

    async def hanging_once(model, inputs, signature, version, timeout):
        timeouts.append(timeout)
        if len(timeouts) > 1:
            return {"y": inputs["x"]}
        await asyncio.sleep(timeout)
        raise UnavailableError("no answer in time", "")

    server.predict = hanging_once

    async def ask():
        models = Models(server, call_seconds=0.05)
        now = await models.refresh()
        async with asyncio.timeout(5):
            with pytest.raises(UnavailableError):
                await models.predict(now, "ranking", {"x": np.ones(1)})
            return await models.predict(now, "ranking", {"x": np.ones(1)})

    assert asyncio.run(ask())["y"].tolist() == [1]
    assert timeouts == [0.05, 0.05]


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


def test_a_slow_reading_does_not_replace_one_that_began_later():
    server = FakeServer({}, {})
    server.others = {("ranking", "canary"): 7}
    metadata, described = server.metadata, asyncio.Event()

    async def slow(model, version, timeout):
        await described.wait()
        return await metadata(model, version, timeout)

    async def read():
        models = Models(server)
        server.metadata = slow
        first = asyncio.create_task(models.refresh())  # it does not ask for the canary
        await asyncio.sleep(0.01)
        server.metadata, models.choices = metadata, frozenset({("ranking", "canary")})
        newer = await models.refresh()
        described.set()
        return newer, await first, models.current

    newer, answered, current = asyncio.run(read())
    assert ("ranking", "canary") in newer.served
    assert answered is current is newer


def test_a_slow_reading_that_fails_does_not_stop_calls_after_one_that_succeeded():
    server, waiting = FakeServer({}, {}), asyncio.Event()
    status = server.status

    async def dead(model, timeout, **named):
        await waiting.wait()
        raise UnavailableError("The server does not answer.", "")

    async def read():
        models = Models(server)
        server.status = dead
        first = asyncio.create_task(models.refresh())
        await asyncio.sleep(0.01)
        server.status = status
        await models.refresh()
        waiting.set()
        with pytest.raises(UnavailableError):
            await first
        return models

    models = asyncio.run(read())
    assert models.down is None
    assert models.current.versions == {"retrieval": 1, "ranking": 1}
