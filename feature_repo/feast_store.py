"""Open Feast's store of a home, configured by this folder's `feature_store.yaml`."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory

import yaml
from feast import FeatureStore
from feast.repo_config import RepoConfig

from feature_repo.definitions import define
from segue.files import atomic_path
from segue.settings import Home


def open_store(home: Home) -> FeatureStore:
    """Open the feature store of `home`. Its registry is empty until `apply` has filled it."""
    path = Path(__file__).with_name("feature_store.yaml")
    text = Template(path.read_text(encoding="utf-8")).substitute(SEGUE_HOME=str(home.root.resolve()))
    home.features.mkdir(parents=True, exist_ok=True)
    return FeatureStore(config=RepoConfig(**yaml.safe_load(text), repo_path=path.parent))


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
    """Copy built feature tables to the folder that the definitions read, and register the definitions."""
    with atomic_path(published_tables(home)) as temporary:
        shutil.copytree(built, temporary)
    return apply(home, published_tables(home))


def published_tables(home: Home) -> Path:
    """Return the folder of the feature tables that the registered definitions read."""
    return home.features / "tables"
