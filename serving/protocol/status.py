"""The one error that a request ends in: a status code and TF Serving's text for it."""

from grpc import StatusCode

# google.rpc.Code, which TensorFlow's error codes equal: number -> gRPC's enum.
CODES = {code.value[0]: code for code in StatusCode}


class StatusError(Exception):
    """A request that cannot be answered, or a version that cannot be loaded.

    Args:
        code: what gRPC answers; REST maps it.
        text: the message, worded as TF Serving words it where it has one.
    """

    def __init__(self, code: StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def invalid(text: str) -> StatusError:
    """The request itself is wrong."""
    return StatusError(StatusCode.INVALID_ARGUMENT, text)
