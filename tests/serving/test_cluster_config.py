"""The configuration files of the cluster also start this server; only the base path is changed."""

import shutil
from pathlib import Path

from serving.client.sync_client import Client
from serving.protocol.config_files import parse_monitoring_config
from serving.run_server import ModelServer
from serving.server_config import ServerConfig

MODELS = ("retrieval", "ranking", "sequence")
CONFIG = Path(__file__).resolve().parents[2] / "k8s" / "base" / "config"


def test_the_clusters_models_config_serves_all_models(tmp_path, saved_models):
    text = (CONFIG / "models.config").read_text(encoding="utf-8")
    for model in MODELS:
        assert f'"/segue/models/{model}"' in text
        shutil.copytree(next(iter(saved_models.values())), tmp_path / model / "1")
    config = tmp_path / "models.config"
    config.write_text(text.replace("/segue/models", str(tmp_path)), encoding="utf-8")
    with ModelServer(ServerConfig(model_config_file=config)) as server, Client(server.address) as client:
        for model in MODELS:
            assert client.status(model) == {1: {"state": "AVAILABLE", "error": ""}}


def test_the_clusters_monitoring_config_parses():
    text = (CONFIG / "monitoring.config").read_text(encoding="utf-8")
    assert parse_monitoring_config(text, "monitoring.config") == {
        "enable": True,
        "path": "/monitoring/prometheus/metrics",
    }
