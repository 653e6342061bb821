"""Pages of other programs: a server that does not start says so, and is started again when somebody asks again."""

import pytest

from segue.errors import UnavailableError
from tests.support.soon import SECONDS
from workloads.up.linked_pages import LinkedPages, linked_pages


def test_a_server_that_ends_is_an_error_once_and_starts_again(tmp_path):
    pages = LinkedPages(["this"], tmp_path / "up" / "this.log", {})  # a module of Python's that ends at once
    for _ in range(2):
        assert pages.open() is None  # it starts
        pages._process.wait(SECONDS)
        with pytest.raises(UnavailableError, match="exit code 0"):
            pages.open()
    pages.stop()
    assert (tmp_path / "up" / "this.log").read_text().count("Namespaces are one honking great idea") == 2


def test_nothing_starts_before_somebody_asks(home):
    with linked_pages(home) as links:
        assert list(links) == ["MLflow", "Evidently"]
    assert not (home.root / "up").exists()


def test_mlflow_on_a_server_is_only_linked(home, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    with linked_pages(home) as links:
        assert links["MLflow"]() == "http://127.0.0.1:5000"
