"""Hostile requests do not make the server grow.

A leak grows in every round; the memory that the allocator keeps for its threads grows in some rounds only.
"""

import random
from itertools import pairwise

import pytest

from benchmarks.serving.process import rss_mb
from serving.protocol.tensors import MAX_MESSAGE_BYTES
from tests.serving.api.hostile import grpc_requests, rest_requests
from tests.serving.api.hostile.grpc_requests import PREDICT, floats, predict

GROWTH_MB = 5  # allowed in one round
KEPT_MB = 400  # allowed above the start: the allocator keeps pages of the largest requests for each thread


def check_growth(server, answer_all):
    """Answer all requests in six rounds, and check that the server's memory stays."""
    sizes = []
    for _ in range(6):
        answer_all()
        sizes.append(rss_mb(server.pid))
    assert min(after - before for before, after in pairwise(sizes)) < GROWTH_MB
    assert sizes[-1] - server.rss < KEPT_MB


@pytest.mark.slow
def test_grpc_requests(server):
    draw = random.Random(12)
    methods = [method for method in grpc_requests.REQUESTS if method != grpc_requests.RELOAD]
    mismatched = grpc_requests.MISMATCHED_TENSORS.values()
    huge = map(floats, grpc_requests.HOSTILE_SHAPES.values())
    tensors = [*mismatched, *huge, floats([2**24], [1.0])]

    def answer_all():
        for method in methods:
            for _ in range(100):
                server.call(method, grpc_requests.damaged(draw, grpc_requests.valid(method).SerializeToString()))
        for tensor in tensors:
            server.call(PREDICT, predict("identity_float32", x=tensor))
        for name in grpc_requests.HOSTILE_NAMES.values():
            server.call(PREDICT, predict(name))
        for path in ("/absent", "relative", "/proc/self"):
            server.reload(f'name: "a" base_path: "{path}" model_platform: "tensorflow"')
        server.reload()
        server.call(PREDICT, bytes(MAX_MESSAGE_BYTES + 1))

    check_growth(server, answer_all)


def test_rest_requests(server):
    def answer_all():
        for body in rest_requests.BODIES.values():
            server.post(body)
        for data in rest_requests.HEADS.values():
            server.raw(data, 0.02)

    check_growth(server, answer_all)
