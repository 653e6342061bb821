"""psycopg keeps to its own OpenSSL, whatever other libraries have loaded."""

import subprocess
import sys

import pytest

from tests.support.certificates import certificate
from tests.support.tls_servers import secured

CONNECT = """
import sys, tensorflow
from stores.registry import load_psycopg
psycopg = load_psycopg()
try:
    psycopg.connect(sys.argv[1])
except psycopg.OperationalError as error:
    print(error)
"""


@pytest.mark.slow
def test_tls_beside_tensorflow(tmp_path):
    """If this fails, a step that has trained a model aborts at its first encrypted connection to PostgreSQL."""
    authority, context = certificate(tmp_path, (-2, -1))
    with secured(context, b"S") as port:
        address = f"postgresql://segue@127.0.0.1:{port}/feast?sslmode=verify-full&sslrootcert={authority}"
        ended = subprocess.run([sys.executable, "-c", CONNECT, address], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr[-500:]
    assert "certificate" in ended.stdout
