"""Compile the pipelines for Kubeflow. They are the same pipelines that run on one machine."""

import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pipelines import PIPELINES, load
from segue.files import write_text
from stores import folders

if TYPE_CHECKING:
    from kfp.dsl.base_component import BaseComponent

MANIFESTS = "manifests"  # the folder of Kubernetes objects beside the packages


def pipeline(name: str, image: str) -> "BaseComponent":
    """Return a pipeline whose steps all run in one image.

    Args:
        name: `training`, `monitoring` or `search`.
        image: the reference of the image, for instance `registry.example/segue:1`.
    """
    made = copy.deepcopy(load(PIPELINES[name]))
    executors = made.pipeline_spec.deployment_spec["executors"]
    for label in executors:
        executors[label]["container"]["image"] = image
    return made


def specification(name: str, image: str) -> dict[str, Any]:
    """Return a pipeline as a run of Kubeflow's API takes it: its `pipeline_spec` and its `platform_spec`."""
    from google.protobuf import json_format

    made = pipeline(name, image)
    return {
        "pipeline_spec": json_format.MessageToDict(made.pipeline_spec),
        "platform_spec": json_format.MessageToDict(made.platform_spec),
    }


def compile_all(out: Path, image: str, manifests: bool = False) -> list[Path]:
    """Compile every pipeline to `out/<name>.yaml`. Each file is written atomically.

    Args:
        out: the folder.
        image: the image of all steps.
        manifests: also write `out/manifests/<name>.yaml`: a Pipeline and a PipelineVersion for `kubectl apply`. The
            version's name ends with a digest of its content, because Kubeflow never changes a version.

    Returns:
        The paths of the files.
    """
    from kfp import compiler

    paths = []
    for name in PIPELINES:
        made = pipeline(name, image)
        paths.append(written(made, out / f"{name}.yaml"))
        if manifests:
            options = compiler.KubernetesManifestOptions(
                pipeline_version_name=f"{name}-{folders.sha256(paths[-1])[:12]}", include_pipeline_manifest=True
            )
            target = out / MANIFESTS / f"{name}.yaml"
            format_ = {"kubernetes_manifest_format": True, "kubernetes_manifest_options": options}
            paths.append(written(made, target, **format_))
    return paths


def written(made: "BaseComponent", target: Path, **format_: Any) -> Path:
    """Compile a pipeline to a file, atomically, and return its path."""
    from kfp import compiler

    with TemporaryDirectory() as folder:
        package = Path(folder) / target.name
        compiler.Compiler().compile(made, str(package), **format_)
        write_text(target, package.read_text(encoding="utf-8"))
    return target
