"""TF Serving's REST API, as an ASGI application.

Paths, status codes and error texts are those of TF Serving's model_servers/http_rest_api_handler.cc and http_server.cc
(https://www.tensorflow.org/tfx/serving/api_rest).
"""

import asyncio
import logging
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from grpc import StatusCode

from serving.api import handlers
from serving.api.service import Service
from serving.protocol import json_answers, json_examples, json_tensors, json_text, protos
from serving.protocol.status import StatusError, invalid
from serving.protocol.tensors import MAX_MESSAGE_BYTES

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_INFERENCE = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/([0-9]+)|/labels/([^/:]+))?:(classify|regress|predict)", re.ASCII | re.IGNORECASE
)
_ABOUT = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:/versions/([0-9]+)|/labels/([^/:]+))?(?:/(metadata))?", re.ASCII | re.IGNORECASE
)
_REQUESTS = {
    "predict": protos.message("tensorflow.serving.PredictRequest", "tensorflow_serving/apis/predict.proto"),
    "classify": protos.message(
        "tensorflow.serving.ClassificationRequest", "tensorflow_serving/apis/classification.proto"
    ),
    "regress": protos.message("tensorflow.serving.RegressionRequest", "tensorflow_serving/apis/regression.proto"),
    "metadata": protos.message(
        "tensorflow.serving.GetModelMetadataRequest", "tensorflow_serving/apis/get_model_metadata.proto"
    ),
    "status": protos.message(
        "tensorflow.serving.GetModelStatusRequest", "tensorflow_serving/apis/get_model_status.proto"
    ),
}
_HTTP = {
    StatusCode.OK: 200,
    StatusCode.CANCELLED: 499,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.ABORTED: 409,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.UNAUTHENTICATED: 401,
}
_SERVER_FAULT = 500  # for all other codes
_UNREAD = (408, 413)  # the rest of the body is not read, so the connection must be closed
_JSON = (b"content-type", b"application/json")
_CLOSE = (b"connection", b"close")
_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
]
_NOT_FOUND_PAGE = b"<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD><BODY>\n<H1>Not Found</H1>\n</BODY></HTML>\n"
# Bodies from this size on are converted on a thread, so that the event loop can answer other requests meanwhile.
_LARGE = 64 * 1024

log = logging.getLogger("segue.serving")


class _Refused(StatusError):
    """The error of a request whose body is too large or too slow; the rest of the body is not read.

    Args:
        http: the HTTP status.
    """

    def __init__(self, http: int, code: StatusCode, text: str) -> None:
        super().__init__(code, text)
        self.http = http


@dataclass
class _Call:
    """A request to the API.

    Attributes:
        action: a key of `_REQUESTS`.
        message: the request's message.
        counted: whether the service counts the request in its metrics; else this module has to.
    """

    action: str
    message: Any
    counted: bool = False


@dataclass(frozen=True)
class _Answer:
    """An HTTP answer."""

    status: int
    headers: Headers
    body: bytes


class RestApp:
    """The ASGI application that answers TF Serving's REST requests. It does not handle lifespan events.

    Args:
        service: answers the requests.
        metrics_path: the path of the metrics page; None for no such page.
        timeout_seconds: the longest time for a body to arrive, and again for its answer to be made; 0 for no limit.
        cors: allow web pages of other origins to call this server.
    """

    def __init__(self, service: Service, metrics_path: str | None, timeout_seconds: float, cors: bool) -> None:
        self._service = service
        self._metrics_path = metrics_path
        self._timeout = timeout_seconds if timeout_seconds > 0 else None
        self._headers = [_JSON, *_CORS] if cors else [_JSON]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        path, query = (scope[key].decode(errors="replace") for key in ("raw_path", "query_string"))
        target = f"{path}?{query}" if query else path
        headers = dict(scope["headers"])
        if path == self._metrics_path:
            answer = self._page(target)
        elif not path.lower().startswith("/v1/"):
            answer = _Answer(404, [(b"content-type", b"text/html")], _NOT_FOUND_PAGE)
        elif scope["method"] == "OPTIONS":
            from_page = b"http://" in headers.get(b"origin", b"") or b"https://" in headers.get(b"origin", b"")
            answer = _Answer(200 if from_page else 400, self._headers[1:], b"")
        else:
            try:
                answer = await self._api(scope["method"], target, headers, receive)
            except ConnectionResetError:
                return  # the client has left
        length = (b"content-length", str(len(answer.body)).encode())
        await send({"type": "http.response.start", "status": answer.status, "headers": [*answer.headers, length]})
        await send({"type": "http.response.body", "body": answer.body})

    def _page(self, target: str) -> _Answer:
        """The metrics page; `target` is the path with its query."""
        if target == self._metrics_path:
            return _Answer(200, [(b"content-type", b"text/plain")], self._service.metrics.render().encode())
        text = f"Unexpected path: {target}. Should be {self._metrics_path}"
        return _Answer(400, [(b"content-type", b"text/plain")], text.encode())

    async def _api(self, method: str, path: str, headers: Mapping[bytes, bytes], receive: Receive) -> _Answer:
        """Answer a request below `/v1/`; every error becomes an answer."""
        call, code, http = None, StatusCode.OK, 200
        try:
            body = await self._body(headers, receive)
            call = _call(method, path)
            async with asyncio.timeout(self._timeout):
                output = await self._run(call, body)
        except ConnectionResetError:
            raise
        except StatusError as error:
            code, output = error.code, json_answers.error(error.text)
            http = error.http if isinstance(error, _Refused) else _HTTP.get(code, _SERVER_FAULT)
        except TimeoutError:
            code, output = StatusCode.DEADLINE_EXCEEDED, json_answers.error("Timed out waiting for notification")
            http = _HTTP[code]
        except Exception:  # a bug in the server: the log has the stack trace, not the client
            log.exception("A request failed.")
            code, http = StatusCode.INTERNAL, _SERVER_FAULT
            output = json_answers.error("The server failed on this request; its log says why.")
        if call is None or not call.counted:
            name = call.message.model_spec.name if call else ""
            # Only configured names become labels of the metrics, since clients can try any number of other names.
            self._service.metrics.requests.inc(name if name in self._service.manager.models() else "", code.name)
        return _Answer(http, [*self._headers, _CLOSE] if http in _UNREAD else self._headers, output)

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The whole body, decompressed.

        Raises:
            ConnectionResetError: the client left.
            StatusError: the body is too large or too slow.
        """
        declared = headers.get(b"content-length", b"0")
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout):
                more = True
                while more:
                    if max(len(body), int(declared)) > MAX_MESSAGE_BYTES:
                        raise _too_large()
                    event = await receive()
                    if event["type"] == "http.disconnect":
                        raise ConnectionResetError
                    body += event.get("body", b"")
                    more = event.get("more_body", False)
        except TimeoutError:
            text = f"The request's body did not arrive within {self._timeout:g} seconds."
            raise _Refused(408, StatusCode.DEADLINE_EXCEEDED, text) from None
        if b"gzip" in headers.get(b"content-encoding", b""):
            return await _convert(len(body), _unzipped, bytes(body))
        return bytes(body)

    async def _run(self, call: _Call, body: bytes) -> bytes:
        """The JSON of the answer to a request."""
        if call.action == "status":
            return json_answers.status(self._service.status(call.message))
        if call.action == "metadata":
            return json_answers.metadata(self._service.metadata(call.message))
        document = await _convert(len(body), json_text.parse, body)
        call.message.model_spec.signature_name = json_tensors.signature_name(document)
        if call.action == "predict":
            inputs = self._inputs(call.message)
            rows = await _convert(len(body), json_tensors.fill, document, inputs, call.message)
        else:
            await _convert(len(body), json_examples.fill, document, call.message.input)
        call.counted = True
        response = await self._service.infer(call.action, call.message, "REST")
        size = response.ByteSize()
        if call.action == "predict":
            return await _convert(size, json_answers.predictions, response.outputs, rows)
        if call.action == "classify":
            return await _convert(size, json_answers.classifications, response.result)
        return await _convert(size, json_answers.regressions, response.result)

    def _inputs(self, message: Any) -> Mapping[str, tuple[str, int]]:
        """The inputs of the signature that a PredictRequest names."""
        with self._service.manager.lease(*handlers.read_spec(message)) as servable:
            name = message.model_spec.signature_name or handlers.DEFAULT_SIGNATURE
            signature = servable.model.signatures.get(name)
        if signature is None:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        return signature.inputs


def _call(method: str, path: str) -> _Call:
    """The call that the method and the path of a request name.

    Raises:
        StatusError: the path is not one of the API's, or a part of it cannot be decoded.
    """
    pattern = {"POST": _INFERENCE, "GET": _ABOUT}.get(method)
    match = pattern.fullmatch(path) if pattern else None
    action = (match[4] or "status") if match else ""
    if match is None or action not in _REQUESTS:
        raise invalid(f"Malformed request: {method} {path}")
    name, version, label = match.group(1, 2, 3)
    if name is None:
        raise invalid("Missing model name in request.")
    message = _REQUESTS[action]()
    message.model_spec.name = _decoded("model name", name)
    if version is not None:
        digits = version.lstrip("0") or "0"
        if len(digits) > 19 or int(digits) >= 2**63:
            raise invalid(f"Failed to convert version: {version} to numeric.")
        message.model_spec.version.value = int(digits)
    elif label is not None:
        message.model_spec.version_label = _decoded("model version label", label)
    if action == "metadata":
        message.metadata_field.append("signature_def")
    return _Call(action, message)


def _decoded(part: str, text: str) -> str:
    """A percent-decoded part of a path. It is only used as a key, so all characters are allowed."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise invalid(f"Failed to decode {part}:{text}") from None


def _unzipped(body: bytes) -> bytes:
    """A gzip body, decompressed; empty if it is damaged, as in TF Serving."""
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        unpacked = unpacker.decompress(body, MAX_MESSAGE_BYTES + 1)
    except zlib.error:
        return b""
    if len(unpacked) > MAX_MESSAGE_BYTES:
        raise _too_large()
    return unpacked if unpacker.eof else b""


def _too_large() -> _Refused:
    """The error of a body above the limit."""
    text = f"The request's body is larger than {MAX_MESSAGE_BYTES} bytes."
    return _Refused(413, StatusCode.RESOURCE_EXHAUSTED, text)


async def _convert(size: int, function: Callable[..., Any], *values: Any) -> Any:
    """The function's result for the values; a thread computes it if `size`, in bytes, is `_LARGE` or more."""
    return function(*values) if size < _LARGE else await asyncio.to_thread(function, *values)
