"""How the gRPC server listens: TLS, mutual TLS, UNIX sockets, channel arguments.

The settings mean the same as in TF Serving's model_servers/server.cc and config/ssl_config.proto.
"""

import datetime
import ipaddress
import socket

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    prediction_service_pb2_grpc,
)

from segue.errors import InputError
from serving.protocol.config_files import ModelConfig, TlsConfig
from serving.run_server import ModelServer
from serving.server_config import ServerConfig

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
PREDICTION, MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
SECONDS = 20


@pytest.fixture(scope="module")
def models(shared_store):
    return [ModelConfig(name, shared_store / name) for name in ("scale", "half")]


def metadata(channel, name="scale"):
    """The version that GetModelMetadata returns, as a call that every server of `scale` answers."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = name
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    return stub.GetModelMetadata(request, timeout=SECONDS).model_spec.version.value


@pytest.fixture(scope="module")
def authority():
    """Two certificate authorities, `authority["ours"]` and `authority["theirs"]`.

    Each is a pair: the authority's certificate, and a function from a name to a signed (key, certificate) pair. All are
    PEM texts.
    """

    def name(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def certificate(subject, key, issuer, issuer_key, is_authority):
        start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        builder = x509.CertificateBuilder(
            name(issuer), name(subject), key.public_key(), x509.random_serial_number(), start,
            start + datetime.timedelta(days=7),
        )  # fmt: skip
        builder = builder.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def make(issuer):
        issuer_key = ec.generate_private_key(ec.SECP256R1())

        def sign(subject):
            key = ec.generate_private_key(ec.SECP256R1())
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            return pem, certificate(subject, key, issuer, issuer_key, False)

        return certificate(issuer, issuer_key, issuer, issuer_key, True), sign

    return {issuer: make(issuer) for issuer in ("ours", "theirs")}


def secure_failure(address, credentials):
    with grpc.secure_channel(address, credentials) as channel, pytest.raises(grpc.RpcError) as caught:
        metadata(channel)
    return caught.value.code()


def test_tls(models, authority):
    root, sign = authority["ours"]
    key, certificate = (pem.decode() for pem in sign("server"))
    with ModelServer(ServerConfig(models=models[:1], tls=TlsConfig(key, certificate))) as server:
        with grpc.secure_channel(server.address, grpc.ssl_channel_credentials(root)) as channel:
            assert metadata(channel) == 2
        untrusted = grpc.ssl_channel_credentials(authority["theirs"][0])
        assert secure_failure(server.address, untrusted) is grpc.StatusCode.UNAVAILABLE
        with grpc.insecure_channel(server.address) as plain, pytest.raises(grpc.RpcError) as caught:
            metadata(plain)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_mutual_tls(models, authority):
    root, sign = authority["ours"]
    key, certificate = (pem.decode() for pem in sign("server"))
    tls = TlsConfig(key, certificate, custom_ca=root.decode(), client_verify=True)
    with ModelServer(ServerConfig(models=models[:1], tls=tls)) as server:
        with grpc.secure_channel(server.address, grpc.ssl_channel_credentials(root, *sign("client"))) as channel:
            assert metadata(channel) == 2
        for pair in ((), authority["theirs"][1]("client")):
            credentials = grpc.ssl_channel_credentials(root, *pair)
            assert secure_failure(server.address, credentials) is grpc.StatusCode.UNAVAILABLE


def test_a_bad_key_stops_the_start(models):
    tls = TlsConfig("-----BEGIN PRIVATE KEY-----\nnone\n", "-----BEGIN CERTIFICATE-----\nnone\n")

    with pytest.raises(InputError), ModelServer(ServerConfig(models=models[:1], tls=tls)):
        pass


def test_a_unix_socket_beside_the_port(models, tmp_path):
    path = tmp_path / "grpc.sock"
    with ModelServer(ServerConfig(models=models[:1], grpc_socket_path=str(path))) as server:
        for address in (f"unix:{path}", server.address):
            with grpc.insecure_channel(address) as channel:
                assert metadata(channel) == 2


def test_a_second_server_takes_over_a_unix_socket_once_it_is_free(models, tmp_path):
    settings = ServerConfig(models=models[:1], port=None, grpc_socket_path=str(tmp_path / "grpc.sock"))
    for _ in range(2):
        with ModelServer(settings) as server:
            assert server.address == f"unix:{tmp_path / 'grpc.sock'}"
            with grpc.insecure_channel(server.address) as channel:
                assert metadata(channel) == 2


def test_channel_arguments_reach_grpc(models):
    settings = ServerConfig(
        models=models[:1],
        grpc_channel_arguments=(("grpc.max_receive_message_length", 1_000), ("grpc.primary_user_agent", "segue")),
    )
    with ModelServer(settings) as server, grpc.insecure_channel(server.address) as channel:
        assert metadata(channel) == 2
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(f"/{PREDICTION}/Predict")(b"\x00" * 1_001, timeout=SECONDS)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "1001 vs. 1000" in caught.value.details()


def test_bytes_that_are_not_http2_do_not_hurt_other_clients(models):
    with ModelServer(ServerConfig(models=models[:1])) as server:
        host, port = server.address.split(":")
        for data in (
            b"GET / HTTP/1.1\r\n\r\n",
            bytes(range(256)) * 40,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 99,
        ):
            with socket.create_connection((host, int(port)), SECONDS) as raw:
                raw.sendall(data)
        with grpc.insecure_channel(server.address) as channel:
            assert metadata(channel) == 2
