"""A page of another site cannot use a person's own gateway."""

import pytest

from surfaces.player.guard import is_address

HOME = {"user_id": "u1"}
OWN = "http://127.0.0.1:8700"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),  # a program
        ({"Origin": OWN}, 200),
        ({"Origin": OWN, "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:8701"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Host": "evil.example:8700", "Origin": "http://evil.example:8700"}, 403),  # DNS rebinding
    ],
)
def test_a_change_comes_from_an_own_page_or_a_program(visit, headers, status):
    answer = visit(lambda client: client.post("/v1/home", json=HOME, headers=headers))
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["fix"]


def test_a_name_that_leads_here_reads_nothing(get):
    assert get("/v1/player/listener?user_id=u1", headers={"Host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:8700", True), ("localhost", True), ("[::1]:8700", True), ("192.168.1.5", True),
        ("evil.example", False), ("127.0.0.1.evil.example", False), ("", False), ("[", False),
    ],
)  # fmt: skip
def test_an_address_is_no_name(host, expected):
    assert is_address(host) is expected


def test_read_only_refuses_events_alone(visit):
    async def conversation(client):
        page = (await client.post("/v1/home", json=HOME)).status_code
        return page, (await client.post("/v1/events", json={"events": []})).status_code

    assert visit(conversation, read_only=True) == (200, 403)
    assert visit(conversation) == (200, 422)
