"""Train on the nano world in the image `segue:here`, each step in a container of its own, as strict as on a cluster.

`python k8s/image/train.py HOME` needs DOCKER_HOST, as `k8s/image/build-here` leaves it, and root, to give HOME to the
image's user. Each container runs as that user with a read-only root, without capabilities and without a network.
"""

import json
import os
import sys
from pathlib import Path

import docker
from kfp import local

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "segue:here"
USER = 10001
RUN = "training-here"


def strict(home: Path) -> dict:
    """The options of each container; they are those of the manifests' security contexts."""
    return {
        "user": f"{USER}:{USER}",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "network_mode": "none",
        "tmpfs": {"/tmp": "size=2g"},
        "mounts": [docker.types.Mount(target=str(home), source=str(home), type="bind")],
        "environment": {"SEGUE_HOME": str(home), "SEGUE_RUN_ID": RUN},
    }


def import_world(home: Path) -> str:
    """Import the nano world by the command of the image, and return its output."""
    command = ["segue", "data", "import", "synthetic", "--size", "nano", "--seed", "0"]
    output = docker.from_env().containers.run(IMAGE, command, remove=True, stderr=True, **strict(home))
    return output.decode()


def train(home: Path) -> dict:
    """Run the training pipeline, and return its report."""
    os.environ["SEGUE_IMAGE"] = IMAGE  # read when the components are made
    sys.path.insert(0, str(ROOT))
    from models.training_config import load
    from pipelines.training import training
    from segue.settings import Home

    run = Home.at(home).run(RUN)
    run.artifacts.mkdir(parents=True)  # before the engine makes it, as root's
    local.init(local.DockerRunner(**strict(home)), pipeline_root=str(run.artifacts))
    training(config=load(ROOT / "tests/support/nano.yaml").to_dict())
    return json.loads(run.report.read_text(encoding="utf-8"))


def main(home: Path) -> None:
    """Import, train, and print the report; exit with 1 unless the models were pushed."""
    home.mkdir(parents=True, exist_ok=True)
    os.chown(home, USER, USER)
    os.umask(0)  # the folders that this process makes are for the containers to write to
    print(import_world(home))
    report = train(home)
    print(json.dumps(report, indent=2))
    sys.exit(0 if report["status"] == "pushed" else 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
