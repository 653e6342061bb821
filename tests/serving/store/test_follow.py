"""What a sidecar says of the object store that it follows."""

from types import SimpleNamespace

from segue.errors import InputError, UnavailableError
from serving.store import sync


def test_an_outage_is_said_once_whatever_its_words(monkeypatch):
    said, outcomes = [], [UnavailableError("Refused."), UnavailableError("Internal error."), InputError("Wrong."), 3]

    def synced(now):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(sync, "say", said.append)
    monkeypatch.setattr(sync.time, "sleep", lambda seconds: None)
    sync.follow(SimpleNamespace(sync=synced, folder="models", waiting=""), once=True)
    assert [line.split(" Trying")[0] for line in said] == ["error: Refused.", "error: Wrong.", "models has revision 3"]
