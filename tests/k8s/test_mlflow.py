"""MLflow starts by the manifest's own command on PostgreSQL and S3, and keeps a run with its artifact there."""

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.k8s.manifests import container, of_kind
from tests.k8s.servers import FILES, SECRETS, eventually, free_port, objects_server, postgres_server, running, variables

pytestmark = pytest.mark.slow

CLIENT = """
import mlflow
with mlflow.start_run() as run:
    mlflow.log_metric("auc", 0.75)
    mlflow.log_text("a note", "note.txt")
again = mlflow.get_run(run.info.run_id)
assert again.data.metrics == {"auc": 0.75}
assert mlflow.artifacts.load_text(f"{again.info.artifact_uri}/note.txt") == "a note"
"""


def test_mlflow_keeps_runs_in_postgresql_and_artifacts_in_s3(rendered, tmp_path):
    import boto3

    documents = rendered["kind"]
    entry = container(documents, "mlflow")
    settings = next(
        d["data"] for d in of_kind(documents, "ConfigMap") if d["metadata"]["name"].startswith("segue-settings-")
    )
    with postgres_server(tmp_path) as postgres, objects_server(documents, tmp_path) as address:
        given = {**os.environ, **postgres, **variables(documents, "postgres")}
        made = ["psql", "--set=ON_ERROR_STOP=1", "--dbname=postgres", f"--file={FILES / 'databases.sql'}"]
        subprocess.run(made, env=given, check=True, capture_output=True)

        port = free_port()
        changed = {"--host=0.0.0.0": "--host=127.0.0.1", "--port=5000": f"--port={port}"}
        command = [str(Path(sys.executable).with_name(entry["command"][0])), *entry["command"][1:]]
        command += [changed.get(argument, argument) for argument in entry["args"]]
        places = {
            "postgres.segue.svc:5432": f"127.0.0.1:{postgres['PGPORT']}",
            settings["SEGUE_OBJECTS_ENDPOINT"]: address,
        }
        environment = variables(documents, "mlflow")
        for variable in entry["env"]:
            value = variable.get("value")
            if reference := variable.get("valueFrom", {}).get("configMapKeyRef"):
                value = settings[reference["key"]]
                for there, here in places.items():
                    value = value.replace(there, here)
            if value is not None:
                environment[variable["name"]] = value
        with running(command, environment, tmp_path / "mlflow.log"):
            health = f"http://127.0.0.1:{port}{entry['readinessProbe']['httpGet']['path']}"
            eventually(lambda: urllib.request.urlopen(health, timeout=5).read(), seconds=240)
            client = {**os.environ, "MLFLOW_TRACKING_URI": f"http://localhost:{port}", "HOME": str(tmp_path)}
            done = subprocess.run(
                [sys.executable, "-c", CLIENT], env=client, capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 0, done.stderr
        keys = {"aws_access_key_id": "segue", "aws_secret_access_key": SECRETS["AWS_SECRET_ACCESS_KEY"]}
        bucket = boto3.resource("s3", endpoint_url=address, region_name="us-east-1", **keys).Bucket("segue")
        assert next(item.key for item in bucket.objects.all() if item.key.endswith("note.txt")).startswith("mlflow/")
