"""A server of Kubeflow Pipelines' API v2beta1 on loopback, built from the models of `kfp-server-api`.

It takes what the real server takes and refuses the rest: a body is read into the API's model, which refuses unknown
fields and values; a namespace is asked for in multi-user mode only; a token is checked if the server has one. It keeps
what it receives. Runs do not run: a test says what each look at a run finds (`moves`).
"""

import json
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api as api
import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

PREFIX = "/apis/v2beta1/"
CLIENT = api.ApiClient(api.Configuration(host="http://127.0.0.1:1"))  # for its readers and writers of JSON


class Refused(Exception):
    """A request that the server answers with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def read_model(body: Any, name: str) -> Any:
    """Read a body into a model of the API; an unknown field or value is refused with status 400."""
    try:
        model = CLIENT.deserialize(SimpleNamespace(data=json.dumps(body)), name)
    except (ValueError, AttributeError, TypeError, api.ApiException) as error:
        raise Refused(400, f"Invalid {name}: {error}") from None
    if CLIENT.sanitize_for_serialization(model) != body:
        raise Refused(400, f"Invalid {name}: unknown fields in {sorted(body)}")
    return model


class FakeKubeflow:
    """The server's state.

    Attributes:
        multi_user: whether runs live in namespaces of users.
        namespace: the namespace in which this user has rights, in multi-user mode.
        token: the token that every request needs; None for none.
        page: the most rows of an answer.
        experiments, runs, schedules: what it holds, by id.
        requests: the method and the path of every request, in order.
        faults: answers that are given before any look at the request: functions of the handler.
        moves: functions of a run that are called one after another, one for each look at a run.
    """

    def __init__(self, multi_user: bool = False, namespace: str = "team-a", token: str | None = None) -> None:
        self.multi_user, self.namespace, self.token = multi_user, namespace, token
        self.page = 2
        self.experiments: dict[str, Any] = {}
        self.runs: dict[str, Any] = {}
        self.schedules: dict[str, Any] = {}
        self.requests: list[tuple[str, str]] = []
        self.faults: list[Callable[[BaseHTTPRequestHandler], None]] = []
        self.moves: list[Callable[[Any], None]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.scheme = "http"

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"{self.scheme}://127.0.0.1:{self.server.server_address[1]}"

    def with_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.scheme = "https"

    def __enter__(self) -> "FakeKubeflow":
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """Return the class that answers the requests."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 20

            def answer(self) -> None:
                fake.requests.append((self.command, self.path))
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                if fake.faults:
                    return fake.faults.pop(0)(self)
                url = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                try:
                    if fake.token and self.headers.get("authorization") != f"Bearer {fake.token}":
                        raise Refused(401, "Request header error: there is no user identity header.")
                    found = fake.act(self.command, url.path.removeprefix(PREFIX), query, body)
                    self.send(200, CLIENT.sanitize_for_serialization(found))
                except Refused as refused:
                    self.send(refused.status, {"error": str(refused), "code": 3, "message": str(refused)})

            def send(self, status: int, body: Any) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *_) -> None:
                pass

        return Handler

    def act(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        """Answer a request that is allowed to be here."""
        kind, _, rest = path.partition("/")
        identity, _, verb = rest.partition(":")
        acts = {
            ("GET", "healthz"): lambda: api.V2beta1GetHealthzResponse(multi_user=self.multi_user),
            ("GET", "experiments"): lambda: self.listed("experiments", self.experiments, query),
            ("POST", "experiments"): lambda: self.new_experiment(read_model(body, "V2beta1Experiment")),
            ("GET", "runs"): lambda: self.listed("runs", self.runs, query),
            ("POST", "runs"): lambda: self.new_run(read_model(body, "V2beta1Run")),
            ("GET", "runs", ""): lambda: self.look(identity),
            ("POST", "runs", "terminate"): lambda: self.terminate(identity),
            ("GET", "recurringruns"): lambda: self.listed("recurring_runs", self.schedules, query),
            ("POST", "recurringruns"): lambda: self.new_schedule(read_model(body, "V2beta1RecurringRun")),
            ("POST", "recurringruns", "enable"): lambda: self.switch(identity, "ENABLED"),
            ("POST", "recurringruns", "disable"): lambda: self.switch(identity, "DISABLED"),
            ("DELETE", "recurringruns", ""): lambda: (
                self.found(self.schedules, identity) and self.schedules.pop(identity) and {}
            ),
        }
        key = (method, kind, verb) if identity else (method, kind)
        if key not in acts:
            raise Refused(404, "Not Found")
        return acts[key]()

    def listed(self, name: str, held: dict[str, Any], query: dict[str, str]) -> Any:
        """Return one page of what the server holds, newest first, with the filter and the namespace applied."""
        self.check_namespace(query.get("namespace"))
        rows = list(held.values())
        for predicate in json.loads(query.get("filter") or '{"predicates": []}')["predicates"]:
            if predicate["key"] not in ("display_name", "name") or predicate["operation"] != "EQUALS":
                raise Refused(400, f"Unrecognized predicate {predicate}")
            rows = [row for row in rows if row.display_name == predicate["stringValue"]]
        if "experiment_id" in query:
            rows = [row for row in rows if row.experiment_id == query["experiment_id"]]
        if query.get("sort_by") == "created_at desc":
            rows.reverse()
        first = int(query.get("page_token") or 0)
        size = min(self.page, int(query.get("page_size") or self.page))
        model = {
            "experiments": api.V2beta1ListExperimentsResponse,
            "runs": api.V2beta1ListRunsResponse,
            "recurring_runs": api.V2beta1ListRecurringRunsResponse,
        }[name]
        following = str(first + size) if first + size < len(rows) else None
        return model(**{name: rows[first : first + size]}, total_size=len(rows), next_page_token=following)

    def check_namespace(self, namespace: str | None) -> None:
        """Refuse a namespace in single-user mode, and another namespace than the user's in multi-user mode."""
        if not self.multi_user and namespace:
            raise Refused(400, "In single-user mode, the namespace must be empty.")
        if self.multi_user and not namespace:
            raise Refused(400, "In multi-user mode, the namespace is needed.")
        if self.multi_user and namespace != self.namespace:
            raise Refused(403, f"User 'ada' is not authorized in the namespace {namespace}.")

    def new_experiment(self, experiment: Any) -> Any:
        """Keep an experiment."""
        self.check_namespace(experiment.namespace)
        if not experiment.display_name:
            raise Refused(400, "An experiment needs a name.")
        return self.keep(self.experiments, experiment, "experiment_id")

    def new_run(self, run: Any) -> Any:
        """Keep a run of a valid pipeline, which is pending."""
        self.check_pipeline(run)
        run.state = "PENDING"
        run.run_details = api.V2beta1RunDetails(task_details=[])
        return self.keep(self.runs, run, "run_id")

    def new_schedule(self, schedule: Any) -> Any:
        """Keep a recurring run of a valid pipeline."""
        self.check_pipeline(schedule)
        fields = schedule.trigger.cron_schedule.cron.split()
        if len(fields) != 6:
            raise Refused(400, f"A schedule has six fields, the first of seconds. Received {fields}.")
        if schedule.mode not in ("ENABLE", "DISABLE") or not 1 <= int(schedule.max_concurrency) <= 10:
            raise Refused(400, "A recurring run needs a mode, and 1 to 10 runs at once.")
        schedule.status = f"{schedule.mode}D"
        return self.keep(self.schedules, schedule, "recurring_run_id")

    def check_pipeline(self, run: Any) -> None:
        """Refuse a run whose experiment, specification or parameters the backend would not take."""
        self.found(self.experiments, run.experiment_id)
        try:
            spec = json_format.ParseDict(run.pipeline_spec["pipeline_spec"], pipeline_spec_pb2.PipelineSpec())
            json_format.ParseDict(run.pipeline_spec["platform_spec"], pipeline_spec_pb2.PlatformSpec())
        except (json_format.ParseError, KeyError, TypeError) as error:
            raise Refused(400, f"The pipeline spec is invalid: {error}") from None
        parameters = set(run.runtime_config.parameters or {})
        if spec.schema_version != "2.1.0" or parameters != set(spec.root.input_definitions.parameters):
            raise Refused(400, f"The schema or the parameters are wrong: {spec.schema_version}, {parameters}.")

    def keep(self, held: dict[str, Any], row: Any, name: str) -> Any:
        """Give a row an id and a time, and keep it."""
        identity = str(uuid.uuid4())
        setattr(row, name, identity)
        row.created_at = datetime.now(UTC)
        held[identity] = row
        return row

    def found(self, held: dict[str, Any], identity: str) -> Any:
        """Return a row by its id."""
        if identity not in held:
            raise Refused(404, f"{identity} not found")
        return held[identity]

    def look(self, identity: str) -> Any:
        """Return a run, after its next move."""
        run = self.found(self.runs, identity)
        if self.moves:
            self.moves.pop(0)(run)
        return run

    def terminate(self, identity: str) -> dict:
        """Cancel a run."""
        self.found(self.runs, identity).state = "CANCELED"
        return {}

    def switch(self, identity: str, status: str) -> dict:
        """Enable or disable a schedule."""
        self.found(self.schedules, identity).status = status
        return {}


def task(name: str, state: str, error: str = "") -> Any:
    """A task of a run, as the API tells of it."""
    fault = api.GoogleRpcStatus(code=13, message=error) if error else None
    began, not_yet = datetime.now(UTC), datetime.fromtimestamp(0, UTC)  # the server tells what is not there yet as 1970
    times = {"start_time": began, "end_time": not_yet if state == "RUNNING" else began}
    return api.V2beta1PipelineTaskDetail(task_id=name, display_name=name, state=state, error=fault, **times)


@pytest.fixture
def kubeflow(monkeypatch) -> Iterator[FakeKubeflow]:
    """A single-user installation, named by the settings."""
    with FakeKubeflow() as fake:
        monkeypatch.setenv("SEGUE_KUBEFLOW", fake.url)
        yield fake
