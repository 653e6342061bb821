"""Open Feast's store of a home, configured by this folder's `feature_store.yaml`."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Any

import ibis
import yaml
from feast import FeatureStore
from feast.infra.offline_stores import duckdb as offline_store
from feast.repo_config import RepoConfig
from ibis.expr.types import Table

from feature_repo.definitions import define
from feature_repo.engine import literal
from segue.files import atomic_path, require_own
from segue.settings import Home


def read_source(data_source: Any, repo_path: str) -> Table:
    """Read a source in place of Feast, which gives DuckDB its path as a pattern: `[v2]` would name another folder."""
    return ibis.read_parquet(literal(data_source.path))


offline_store._read_data_source = read_source


def open_store(home: Home) -> FeatureStore:
    """Open the feature store of `home`. Its registry is empty until `apply` has filled it."""
    path = Path(__file__).with_name("feature_store.yaml")
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    root = str(home.root.resolve())  # set after parsing, because YAML gives a meaning to characters such as `#`
    for part in ("registry", "online_store"):
        settings[part]["path"] = Template(settings[part]["path"]).substitute(SEGUE_HOME=root)
    home.features.mkdir(parents=True, exist_ok=True)
    return FeatureStore(config=RepoConfig(**settings, repo_path=path.parent))


def apply(home: Home, feature_tables: Path) -> FeatureStore:
    """Register all definitions over a folder of feature tables, as `feast apply` does, and return the store."""
    store = open_store(home)
    store.apply(define(feature_tables.resolve()).all)
    return store


@contextmanager
def store_over(feature_tables: Path) -> Iterator[FeatureStore]:
    """Open a temporary feature store over a run's feature tables. With a store each, runs do not disturb each other."""
    with TemporaryDirectory(prefix="segue-feast-") as folder:
        yield apply(Home(Path(folder)), feature_tables)


def publish(home: Home, built: Path) -> FeatureStore:
    """Copy built feature tables to the folder that the definitions read, and register the definitions.

    Raises:
        InputError: the folder holds files that no run wrote.
    """
    require_own(published_tables(home), "manifest.json", {"last_day", "rows"}, ("manifest.json", "*.parquet"))
    with atomic_path(published_tables(home)) as temporary:
        shutil.copytree(built, temporary)
    return apply(home, published_tables(home))


def published_tables(home: Home) -> Path:
    """Return the folder of the feature tables that the registered definitions read."""
    return home.features / "tables"
