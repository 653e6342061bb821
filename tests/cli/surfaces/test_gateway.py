"""`segue gateway`: its options are checked before anything slow begins."""

import socket

import pytest
from click.testing import CliRunner

from cli.surfaces.gateway import gateway, read_tokens
from segue.errors import InputError
from surfaces.engine.switches import SWITCHES, check_switches

TOKEN = "sixteen-letters-or-more"


def test_tokens_are_read_line_by_line(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"# the player\n{TOKEN}\n\n  {TOKEN}-2  \n")
    assert read_tokens(path) == [TOKEN, f"{TOKEN}-2"]


@pytest.mark.parametrize("text", ["", "# none\n", f"{TOKEN}\nshort\n", f"{TOKEN}ä\n"])
def test_a_file_without_proper_tokens_is_refused(tmp_path, text):
    path = tmp_path / "tokens"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="16 or more ASCII characters"):
        read_tokens(path)


@pytest.mark.parametrize("name", ["popular", "heard", "ranking", "features", "compose"])
def test_stages_sources_and_filters_can_be_switched_off(name):
    check_switches([name])
    assert name in SWITCHES


def test_an_unknown_switch_names_the_near_ones(home, monkeypatch):
    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    with pytest.raises(InputError, match=r"'populr'. Did you mean popular\?"):
        CliRunner().invoke(gateway, ["--off", "populr"], catch_exceptions=False)


def test_a_taken_port_is_named(home, monkeypatch):
    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            CliRunner().invoke(gateway, ["--port", str(port)], catch_exceptions=False)


def test_a_home_without_data_is_named(home, monkeypatch):
    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    with pytest.raises(InputError, match="Nothing is imported yet"):
        CliRunner().invoke(gateway, ["--port", "0"], catch_exceptions=False)
