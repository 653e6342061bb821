"""The status code and text of calls that must fail."""

import grpc
import pytest

from serving.protocol.status import StatusError


def grpc_failure(call, *args, **options):
    """The status code and text of a gRPC call that fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*args, **options)
    return caught.value.code(), caught.value.details()


def status_failure(call, *args, **options):
    """The status code and text of the `StatusError` that a function raises."""
    with pytest.raises(StatusError) as caught:
        call(*args, **options)
    return caught.value.code, caught.value.text
