"""Alerts: which decisions have one, and a webhook that takes, refuses and misses them."""

import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from monitoring import alerts
from monitoring.retraining import Decision
from segue.errors import InputError, UnavailableError
from tests.support.reports import day

HOLD = Decision(day(1), "hold", "No training while this lasts: volume changed.", "outage", day(1))


def decision(action, cause=None):
    """A decision."""
    return Decision(day(1), action, "Because.", cause, day(1))


@pytest.mark.parametrize(
    ("history", "places"),
    [
        ([], []),
        ([decision("wait"), decision("retrain", "genre")], []),
        ([decision("hold", "outage"), decision("hold", "outage")], [0]),
        ([decision("hold", "outage"), decision("wait"), decision("hold", "outage")], [0, 2]),
        ([decision("hold", "outage"), decision("hold", "nulls")], [0, 1]),
        ([decision("retrain", "genre"), decision("call a person", "genre")], [1]),
    ],
)
def test_the_first_decision_of_a_hold_or_a_call_alerts(history, places):
    assert alerts.alerting(history) == places


@pytest.fixture
def webhook():
    """A webhook on loopback: `webhook(status)` is its address, and `webhook.got` the bodies that came."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            opened.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(opened.status)
            self.send_header("Location", "/other")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def opened(status=200):
        opened.status = status
        return f"http://127.0.0.1:{server.server_port}/hook/s3cret"

    opened.got = []
    yield opened
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_alert_says_what_why_and_when(webhook, caplog):
    with caplog.at_level(logging.INFO):
        alerts.send(webhook(), HOLD)
    assert "s3cret" not in caplog.text
    assert webhook.got == [
        {
            "text": "Segue, hold: No training while this lasts: volume changed.",
            "action": "hold",
            "cause": "outage",
            "reason": "No training while this lasts: volume changed.",
            "at": "2026-03-02T00:00:00+00:00",
            "until": "2026-03-02T00:00:00+00:00",
        }
    ]


@pytest.mark.parametrize(
    ("status", "kind"), [(404, InputError), (302, InputError), (429, UnavailableError), (503, UnavailableError)]
)
def test_a_webhook_that_does_not_take_it_is_named_without_its_secret(webhook, status, kind):
    with pytest.raises(kind, match=f"127.0.0.1.* {status}") as raised:
        alerts.send(webhook(status), HOLD)
    assert "s3cret" not in str(raised.value)
    assert len(webhook.got) == 1  # a redirect is not followed


@pytest.mark.parametrize("host", ["127.0.0.1:9", "a..b"])
def test_a_webhook_that_is_not_there(host):
    with pytest.raises(UnavailableError, match=r"ConnectError|UnicodeError") as raised:
        alerts.send(f"http://{host}/hook/s3cret", HOLD)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "address",
    [
        "hooks.example.com/s3cret", "ftp://127.0.0.1/s3cret", "http:///s3cret", "http://127.0.0.1:port/s3cret",
        "http://[::1/s3cret", "http://xn--/s3cret", "http://127.0.0.1/s3cret\n",
    ],
)  # fmt: skip
def test_what_is_no_address_of_http_is_refused(address):
    with pytest.raises(InputError, match="A webhook is an address") as raised:
        alerts.send(address, HOLD)
    assert "s3cret" not in str(raised.value)
