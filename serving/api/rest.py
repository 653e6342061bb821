"""TF Serving's REST API, as an ASGI application.

Paths, status codes and texts are those of TF Serving's model_servers/http_rest_api_handler.cc and http_server.cc
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
_SERVER_FAULT = 500  # the codes that are left
_UNREAD = (408, 413)  # the connection is of no further use: the body was not read to its end
_JSON = (b"content-type", b"application/json")
_CLOSE = (b"connection", b"close")
_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
]
_NOT_FOUND_PAGE = b"<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD><BODY>\n<H1>Not Found</H1>\n</BODY></HTML>\n"
# Larger bodies are converted on a thread, so that the event loop goes on answering others.
_LARGE = 64 * 1024

log = logging.getLogger("segue.serving")


class _Refused(StatusError):
    """A body that is not read to its end.

    Args:
        http: the HTTP status.
    """

    def __init__(self, http: int, code: StatusCode, text: str) -> None:
        super().__init__(code, text)
        self.http = http


@dataclass
class _Call:
    """A request to the API: a key of `_REQUESTS` and its message; `counted` once the service has its metrics."""

    action: str
    message: Any
    counted: bool = False


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Headers
    body: bytes


class RestApp:
    """Answers TF Serving's REST requests: an ASGI application for a server without lifespan events.

    Args:
        service: what answers.
        metrics_path: where the metrics can be read; None for nowhere.
        timeout_seconds: for a body to arrive, and again for its answer to be made; 0 for no limit.
        cors: let other origins' pages call this server.
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
            known = b"http://" in headers.get(b"origin", b"") or b"https://" in headers.get(b"origin", b"")
            answer = _Answer(200 if known else 400, self._headers[1:], b"")
        else:
            try:
                answer = await self._api(scope["method"], target, headers, receive)
            except ConnectionResetError:
                return  # nobody is there to be answered
        length = (b"content-length", str(len(answer.body)).encode())
        await send({"type": "http.response.start", "status": answer.status, "headers": [*answer.headers, length]})
        await send({"type": "http.response.body", "body": answer.body})

    def _page(self, target: str) -> _Answer:
        """The metrics."""
        if target == self._metrics_path:
            return _Answer(200, [(b"content-type", b"text/plain")], self._service.metrics.render().encode())
        text = f"Unexpected path: {target}. Should be {self._metrics_path}"
        return _Answer(400, [(b"content-type", b"text/plain")], text.encode())

    async def _api(self, method: str, path: str, headers: Mapping[bytes, bytes], receive: Receive) -> _Answer:
        """Answer a request to the API."""
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
        except Exception:  # a fault of ours; the client gets no stack trace
            log.exception("a request failed")
            code, http = StatusCode.INTERNAL, _SERVER_FAULT
            output = json_answers.error("The server failed on this request; its log says why.")
        if call is None or not call.counted:
            name = call.message.model_spec.name if call else ""
            # Only names that are configured: a label for every name that is tried would have no bound.
            self._service.metrics.requests.inc(name if name in self._service.manager.models() else "", code.name)
        return _Answer(http, [*self._headers, _CLOSE] if http in _UNREAD else self._headers, output)

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The whole body, unpacked.

        Raises:
            ConnectionResetError: the client left.
            StatusError: it is too large or too slow.
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
        """The JSON that answers a request."""
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
    """What a request's first line asks for.

    Raises:
        StatusError: nothing that there is.
    """
    pattern = {"POST": _INFERENCE, "GET": _ABOUT}.get(method)
    found = pattern.fullmatch(path) if pattern else None
    action = (found[4] or "status") if found else ""
    if found is None or action not in _REQUESTS:
        raise invalid(f"Malformed request: {method} {path}")
    name, version, label = found.group(1, 2, 3)
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


def _decoded(what: str, text: str) -> str:
    """A part of a path without its percent signs. It is only ever looked up, so it may hold anything."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise invalid(f"Failed to decode {what}:{text}") from None


def _unzipped(body: bytes) -> bytes:
    """A body without gzip. TF Serving takes one that is damaged for an empty one."""
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        unpacked = unpacker.decompress(body, MAX_MESSAGE_BYTES + 1)
    except zlib.error:
        return b""
    if len(unpacked) > MAX_MESSAGE_BYTES:
        raise _too_large()
    return unpacked if unpacker.eof else b""


def _too_large() -> _Refused:
    text = f"The request's body is larger than {MAX_MESSAGE_BYTES} bytes."
    return _Refused(413, StatusCode.RESOURCE_EXHAUSTED, text)


async def _convert(size: int, function: Callable[..., Any], *values: Any) -> Any:
    """Call a function: on a thread if its values hold many bytes."""
    return function(*values) if size < _LARGE else await asyncio.to_thread(function, *values)
