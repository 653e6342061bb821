"""Write the lists of packages that the images install: what their rooms import, and what that needs in turn.

`python k8s/image/packages.py` reads the metadata of the environment that runs it, which is the lock's, and writes
`pipeline.txt`, `gateway.txt` and `sync.txt` beside this file. The Dockerfile installs these packages in the versions of
the lock.
A test compares the lists with the metadata, so a changed lock cannot leave them behind.
"""

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# The packages that the rooms import. TFX is no root: Segue calls its libraries, not its pipelines.
ROOTS = {
    "pipeline": [
        *("tensorflow", "tf-keras", "tensorflow-recommenders", "tensorflow-serving-api", "tensorflow-metadata"),
        *("tensorflow-data-validation", "tensorflow-model-analysis", "apache-beam", "tfx-bsl"),
        *("kfp", "kfp-kubernetes", "mlflow", "evidently", "feast[duckdb,postgres,redis]"),
        *("numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "threadpoolctl", "google-crc32c"),
        *("grpcio-health-checking", "grpcio-reflection", "uvicorn", "httptools", "uvloop", "orjson"),
        *("click", "rich", "pyyaml", "jinja2", "pydantic", "pydantic-settings", "boto3", "typeguard"),
    ],
    "gateway": [
        *("fastapi", "uvicorn", "httptools", "uvloop", "orjson", "feast[duckdb,postgres,redis]"),
        *("tensorflow-serving-api", "grpcio-health-checking", "grpcio-reflection", "ml-dtypes"),
        *("numpy", "scipy", "pandas", "pyarrow"),
        *("click", "rich", "pyyaml", "jinja2", "pydantic", "pydantic-settings", "boto3", "psutil", "typeguard"),
    ],
    "sync": [
        *("boto3", "click", "packaging", "protobuf", "pydantic", "pydantic-settings", "pyyaml"),
        "tensorflow-serving-api",
    ],
}

# Packages that a package above requires and that no process of the image imports, by who requires them. What they alone
# need goes with them. They were found in the modules that each process of a run had imported at its end.
UNUSED = {
    "pipeline": {
        *("libclang", "tensorflow-estimator"),  # TensorFlow, Model Analysis: for builds and for Estimators
        *("google-cloud-aiplatform", "google-cloud-build"),  # Beam: Google's own services
        *("google-cloud-bigtable", "google-cloud-datastore", "google-cloud-dlp", "google-cloud-kms"),
        *("google-cloud-language", "google-cloud-monitoring", "google-cloud-recommendations-ai"),
        *("google-cloud-secret-manager", "google-cloud-spanner"),
        *("google-cloud-videointelligence", "google-cloud-vision"),
        *("cloud-sql-python-connector", "keyrings-google-artifactregistry-auth"),
        *("mypy", "types-greenlet"),  # SQLAlchemy and Feast: for type checks
        *("dask", "uvicorn-worker"),  # Feast: an engine and a server that Segue does not use
        *("widgetsnbextension", "jupyterlab-widgets"),  # ipywidgets: pages of a notebook
        *("statsmodels", "faker", "polyfactory"),  # Evidently: other tests of drift, and its own server's examples
        *("matplotlib", "skops"),  # MLflow: plots of its evaluations, models of scikit-learn
    },
    # TensorFlow Serving's API: the descriptors of the messages are read, and TensorFlow is not imported.
    "gateway": {"tensorflow", "mypy", "types-greenlet", "dask", "uvicorn-worker"},
    # Of its messages the configuration alone is read.
    "sync": {"tensorflow", "grpcio"},
}


def needed(roots: list[str], unused: set[str]) -> set[str]:
    """The names of all packages that `roots` need, themselves included and `unused` left out."""
    installed = {canonicalize_name(found.metadata["Name"]): found for found in metadata.distributions()}
    names: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    pending = [Requirement(root) for root in roots]
    while pending:
        requirement = pending.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if name in unused or name not in installed or (name, extras) in seen:
            continue
        seen.add((name, extras))
        names.add(name)
        for text in installed[name].requires or []:
            below = Requirement(text)
            if not below.marker or any(below.marker.evaluate({"extra": extra}) for extra in {"", *extras}):
                pending.append(below)
    return names


def text(image: str) -> str:
    """The list of an image's packages, one a line."""
    return "".join(f"{name}\n" for name in sorted(needed(ROOTS[image], UNUSED[image])))


if __name__ == "__main__":
    for image in ROOTS:
        Path(__file__).with_name(f"{image}.txt").write_text(text(image), encoding="utf-8")
