"""What a server has not loaded yet, asked over REST."""

import socket
import threading

import pytest

from segue.errors import InputError
from serving.store.unloaded import check_address, unloaded
from stores.servers import HOST, free_ports


@pytest.mark.slow
def test_versions_that_a_server_has_not_loaded_are_told_apart(saved_models, tmp_path):
    """If this fails, labels move too early, or never."""
    from serving.run_server import ModelServer
    from serving.server_config import ServerConfig
    from serving.store import model_store

    model_store.push(tmp_path, {"scale": saved_models["one"]})
    model_store.push(tmp_path, {"scale": saved_models["corrupt"]}, label="canary")
    with ModelServer(ServerConfig(tmp_path / "models.config", rest_port=0, labels="unused")) as server:
        address = server.rest_address
        assert unloaded(address, [("scale", 1)]) == []
        broken, absent, other = unloaded(address, [("scale", 1), ("scale", 2), ("scale", 3), ("other", 1)])
    assert broken.startswith("scale 2 is LOADING ")
    assert absent == "Could not find version 3 of model scale"
    assert other == "Could not find version 1 of model other"


def test_a_server_that_does_not_answer_has_loaded_nothing():
    address = f"{HOST}:{free_ports(1)[0]}"
    assert unloaded(address, [("scale", 1)]) == [f"{address} does not answer for scale 1: Connection refused"]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", b"\x00\x00\x12\x04"])
def test_another_kind_of_server_has_loaded_nothing(answer):
    with socket.create_server((HOST, 0)) as server:
        address = f"{HOST}:{server.getsockname()[1]}"
        thread = threading.Thread(target=answer_once, args=(server, answer))
        thread.start()
        (phrase,) = unloaded(address, [("scale", 1)])
        thread.join()
    assert phrase.startswith(f"{address} does not answer")


def answer_once(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(1000)
        connection.sendall(answer)


@pytest.mark.parametrize("address", ["127.0.0.1:http", "127.0.0.1:85x"])
def test_an_address_is_host_and_port(address):
    with pytest.raises(InputError, match="HOST:PORT"):
        check_address(address)
