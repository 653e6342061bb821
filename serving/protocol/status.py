"""The error of a request that fails: a gRPC status code and TF Serving's text for it."""

from grpc import StatusCode

# Number of a google.rpc.Code -> gRPC's enum. TensorFlow's error codes have the same numbers.
CODES = {code.value[0]: code for code in StatusCode}


class StatusError(Exception):
    """The error of a request that cannot be answered, or of a version that cannot be loaded.

    Args:
        code: the status that a gRPC client receives; REST maps it to an HTTP status.
        text: the message, in TF Serving's words where TF Serving has the same error.
    """

    def __init__(self, code: StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def invalid(text: str) -> StatusError:
    """The INVALID_ARGUMENT error of a request that breaks a rule."""
    return StatusError(StatusCode.INVALID_ARGUMENT, text)
