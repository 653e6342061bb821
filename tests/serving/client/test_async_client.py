"""The asyncio client alone: calls run at the same time, and end with their task."""

import asyncio
import inspect
import time

import grpc
import pytest

from segue.errors import UnavailableError
from serving.client.async_client import AsyncClient
from serving.client.sync_client import Client


class Slow(grpc.GenericRpcHandler):
    """Answers every Predict with an empty message after 0.3 s, and counts the calls that were cancelled before."""

    def __init__(self):
        self.running = self.most_running = self.cancelled = 0

    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(self.answer) if details.method.endswith("/Predict") else None

    async def answer(self, request, context):
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(0.3)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        return b""


def with_slow(scenario):
    """Run `scenario(slow, client)` with a slow server."""

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


def test_calls_run_at_the_same_time():
    async def scenario(slow, client):
        began = time.monotonic()
        assert await asyncio.gather(*(client.predict("m", {}) for _ in range(8))) == [{}] * 8
        assert time.monotonic() - began < 1.5  # one after the other they would take 8 * 0.3 = 2.4 s
        assert slow.most_running == 8

    with_slow(scenario)


def test_a_cancelled_call_is_cancelled_on_the_server_too():
    async def scenario(slow, client):
        call = asyncio.create_task(client.predict("m", {}))
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.sleep(0.1)
        assert (slow.cancelled, slow.running) == (1, 0)

    with_slow(scenario)


def test_the_event_loop_runs_during_a_pause_between_attempts():
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


def test_both_clients_have_the_same_methods():
    methods = {name: method for name, method in inspect.getmembers(Client, inspect.isfunction) if name[0] != "_"}

    for name, method in methods.items():
        other = getattr(AsyncClient, name)
        assert inspect.iscoroutinefunction(other)
        assert inspect.signature(other) == inspect.signature(method)
