"""What only the asyncio client can do: many calls at once, and none that outlives its task."""

import asyncio
import inspect
import time

import grpc
import pytest

from segue.errors import UnavailableError
from serving.client.async_client import AsyncClient
from serving.client.sync_client import Client


class Slow(grpc.GenericRpcHandler):
    """Answers every Predict with nothing, after 0.3 s; counts the calls that the caller ended before."""

    def __init__(self):
        self.at_once = self.most_at_once = self.ended = 0

    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(self.answer) if details.method.endswith("/Predict") else None

    async def answer(self, request, context):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0.3)
        except asyncio.CancelledError:
            self.ended += 1
            raise
        finally:
            self.at_once -= 1
        return b""


def with_slow(scenario):
    """Run `scenario(slow, client)` beside its server."""

    async def run():
        slow, server = Slow(), grpc.aio.server()
        server.add_generic_rpc_handlers([slow])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with AsyncClient(f"127.0.0.1:{port}") as client:
                await scenario(slow, client)
        finally:
            await server.stop(None)

    asyncio.run(run())


def test_calls_run_side_by_side():
    async def scenario(slow, client):
        began = time.monotonic()
        assert await asyncio.gather(*(client.predict("m", {}) for _ in range(8))) == [{}] * 8
        assert time.monotonic() - began < 1.5  # 8 x 0.3 s in a row are 2.4 s
        assert slow.most_at_once == 8

    with_slow(scenario)


def test_a_cancelled_call_ends_on_the_server_too():
    async def scenario(slow, client):
        call = asyncio.create_task(client.predict("m", {}))
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.sleep(0.1)
        assert (slow.ended, slow.at_once) == (1, 0)

    with_slow(scenario)


def test_a_pause_between_attempts_does_not_hold_the_loop():
    async def scenario():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        async with AsyncClient("127.0.0.1:1") as client:
            with pytest.raises(UnavailableError, match="gave no answer"):
                await client.predict("m", {}, timeout=0.4)
        ticking.cancel()
        assert ticks > 10

    asyncio.run(scenario())


def test_the_twins_have_one_surface():
    methods = {name: method for name, method in inspect.getmembers(Client, inspect.isfunction) if name[0] != "_"}

    for name, method in methods.items():
        twin = getattr(AsyncClient, name)
        assert inspect.iscoroutinefunction(twin)
        assert inspect.signature(twin) == inspect.signature(method)
