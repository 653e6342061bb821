"""Open Feast's store of a home, configured by this folder's `feature_store.yaml`."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import ibis
import pyarrow.parquet as pq
import yaml
from feast import FeatureStore
from feast.infra.offline_stores import duckdb as offline_store
from feast.repo_config import RepoConfig
from ibis.expr.types import Table

from feature_repo.build import Vocabularies, axes_of, load_manifest
from feature_repo.definitions import define
from feature_repo.engine import literal
from feature_repo.storage import cluster
from segue.errors import UnavailableError
from segue.files import atomic_path, require_own, write_json
from segue.settings import Home
from stores.s3 import Bucket, Missing
from stores.settings import settings

CONFIGURATION = Path(__file__).with_name("feature_store.yaml")
TABLES = "features/tables"  # the feature tables in the object store of a cluster


def read_source(data_source: Any, repo_path: str) -> Table:
    """Read a source in place of Feast, which gives DuckDB its path as a pattern: `[v2]` would name another folder.

    A source on S3 is read by Arrow into memory, because DuckDB's own reader is an extension that it downloads.
    """
    if not data_source.path.startswith("s3://"):
        return ibis.read_parquet(literal(data_source.path))
    from pyarrow.fs import S3FileSystem

    endpoint = urlsplit(data_source.file_options.s3_endpoint_override or "")
    server = {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme} if endpoint.netloc else {}
    s3 = S3FileSystem(**server, region=settings().objects_region)
    return ibis.memtable(pq.read_table(data_source.path.removeprefix("s3://"), filesystem=s3))


offline_store._read_data_source = read_source


def open_store(home: Home) -> FeatureStore:
    """Open the feature store of `home`, or of the cluster. Its registry is empty until `publish` has filled it.

    Raises:
        InputError: a server of the cluster refuses.
        UnavailableError: a server of the cluster does not answer.
    """
    now = settings()
    if not now.clustered:
        return embedded_store(home)
    with cluster.faults(now):
        return cluster.open_live(now, shared())


def embedded_store(home: Home) -> FeatureStore:
    """Open the feature store that lies in a home."""
    configured = configuration()
    root = str(home.root.resolve())  # set after parsing, because YAML gives a meaning to characters such as `#`
    for part in ("registry", "online_store"):
        configured[part]["path"] = Template(configured[part]["path"]).substitute(SEGUE_HOME=root)
    home.features.mkdir(parents=True, exist_ok=True)
    return FeatureStore(config=RepoConfig(**configured, repo_path=CONFIGURATION.parent))


def apply(home: Home, feature_tables: Path) -> FeatureStore:
    """Register all definitions over a folder of feature tables in a home, as `feast apply` does; return the store."""
    store = embedded_store(home)
    store.apply(define(str(feature_tables.resolve())).all)
    return store


def configuration() -> dict[str, Any]:
    """Return Feast's configuration of the embedded store, in which SEGUE_HOME stands for the home."""
    return yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))


def shared() -> dict[str, Any]:
    """Return what every store of Segue's has in its configuration, wherever it lies."""
    return {name: value for name, value in configuration().items() if name not in ("registry", "online_store")}


@contextmanager
def store_over(feature_tables: Path) -> Iterator[FeatureStore]:
    """Open a temporary feature store over a run's feature tables. With a store each, runs do not disturb each other."""
    with TemporaryDirectory(prefix="segue-feast-") as folder:
        yield apply(Home(Path(folder)), feature_tables)


def publish(home: Home, built: Path) -> FeatureStore:
    """Copy built feature tables to the place that the definitions read, and register the definitions.

    Raises:
        InputError: the folder holds files that no run wrote, or a server of the cluster refuses.
        UnavailableError: a server of the cluster does not answer, or another run has extended the vocabularies since
            these tables were built.
    """
    now = settings()
    if not now.clustered:
        require_own(published_tables(home), "manifest.json", {"last_day", "rows"}, ("manifest.json", "*.parquet"))
    before, after = published_axes(home), axes_of(load_manifest(built))
    if before and before.log and not after.continues(before):
        raise UnavailableError(
            "Feature tables keep the vocabularies of those that are online. Another run has extended them meanwhile.",
            "Start the run again.",
        )
    if now.clustered:
        bucket = Bucket.at(str(now.objects), now)
        bucket.upload_tree(built, TABLES)
        with cluster.faults(now):
            store = cluster.open_live(now, shared())
            store.apply(define(f"{bucket.url}/{TABLES}", now.objects_endpoint).all)
        return store
    with atomic_path(published_tables(home)) as temporary:
        shutil.copytree(built, temporary)
    return apply(home, published_tables(home))


def published_axes(home: Home) -> Vocabularies | None:
    """Return the vocabularies of the published feature tables; None before the first training.

    Vocabularies grow at their end alone, so those of the served models are a part of them.

    Raises:
        InputError: the object store of the cluster refuses.
        UnavailableError: the object store of the cluster does not answer.
    """
    manifest = published_manifest(home)
    return axes_of(manifest) if manifest else None


def published_manifest(home: Home) -> dict[str, Any] | None:
    """Return the manifest of the published feature tables, if there are any. Raises: as `published_axes`."""
    now = settings()
    try:
        if now.clustered:
            return json.loads(Bucket.at(str(now.objects), now).get(f"{TABLES}/manifest.json"))
        return load_manifest(published_tables(home))
    except (FileNotFoundError, Missing):
        return None


def rename_log(home: Home, earlier: str | None, log: str | None) -> None:
    """Let the published vocabularies of a log go on with it under its new identity. Raises: as `published_axes`."""
    manifest, now = published_manifest(home), settings()
    if manifest is None or manifest.get("log") != earlier:
        return
    manifest["log"] = log
    if now.clustered:
        Bucket.at(str(now.objects), now).put(f"{TABLES}/manifest.json", json.dumps(manifest).encode())
    else:
        write_json(published_tables(home) / "manifest.json", manifest)


def published_tables(home: Home) -> Path:
    """Return the folder of the feature tables that the registered definitions read."""
    return home.features / "tables"
