"""Feast's store of a cluster: the online store on Redis, the registry on PostgreSQL, the feature tables on S3."""

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from feast import FeatureStore
from feast.infra.key_encoding_utils import deserialize_entity_key, serialize_entity_key
from feast.repo_config import RepoConfig

from segue.errors import InputError
from stores import online_store, registry
from stores.settings import Settings

if TYPE_CHECKING:
    import redis

STATE = "segue:online"  # the key of the record that says which log is online
BUILD_SECONDS = 6 * 3600  # the server drops a build that is not finished by then
SECONDS_CACHED = 60


def open_live(settings: Settings, shared: dict[str, Any]) -> FeatureStore:
    """Open the store of a cluster.

    Passwords and time-outs go to the drivers apart from the addresses, so that no address has a secret in it.

    Args:
        settings: the settings in force.
        shared: what the embedded store has too: project, provider, offline store, version of entity keys.
    """
    password = settings.registry_password
    arguments = registry.TIME_OUTS | ({"password": password.get_secret_value()} if password else {})
    return over_redis(
        settings,
        shared,
        {
            "registry_type": "sql",
            "path": str(settings.registry).replace("postgresql://", "postgresql+psycopg://", 1),
            "cache_mode": "sync",  # `thread` misses a feature service right after `apply`
            "cache_ttl_seconds": SECONDS_CACHED,
            "sqlalchemy_config_kwargs": {"pool_pre_ping": True, "connect_args": arguments},
        },
    )


def over_redis(settings: Settings, shared: dict[str, Any], registered: Any, **online: Any) -> FeatureStore:
    """Open a store whose online store is the cluster's, by a client with Segue's time-outs.

    Args:
        settings: the settings in force.
        shared: as in `open_live`.
        registered: Feast's configuration of the registry.
        online: further settings of the online store.
    """
    at = {"type": "redis", "connection_string": urlsplit(str(settings.online_store)).netloc, **online}
    config = RepoConfig(**shared, registry=registered, online_store=at, repo_path=Path(__file__).parents[1])
    store = FeatureStore(config=config)
    feast_online: Any = store._get_provider().online_store
    feast_online._client = online_store.connect(settings)
    return store


@contextlib.contextmanager
def faults(settings: Settings) -> Iterator[None]:
    """Raise the errors of the online store and the registry as errors for people that name the server.

    Raises:
        InputError: a server refuses.
        UnavailableError: a server does not answer.
    """
    with online_store.faults(settings), registry.faults(settings):
        yield


def replace(
    settings: Settings, shared: dict[str, Any], definitions: list, fill: Callable[[FeatureStore], None], state: dict
) -> None:
    """Replace everything online. Readers see the old content or the new, because one transaction moves all keys.

    The new content is built under the name of another project, whose keys expire if the build is killed.

    Args:
        settings: the settings in force.
        shared: as in `open_live`.
        definitions: Feast's objects.
        fill: writes the new content to an empty online store.
        state: what is online, kept beside the content.
    """
    name = f"build_{uuid.uuid4().hex}"
    with TemporaryDirectory(prefix="segue-feast-") as folder, online_store.faults(settings):
        registered = str(Path(folder) / "registry.db")
        store = over_redis(settings, shared | {"project": name}, registered, key_ttl_seconds=BUILD_SECONDS)
        store.apply(definitions)
        fill(store)
        client = online_store.connect(settings)
        built = {key.removesuffix(name.encode()): key for key in entity_keys(client, name)}
        project = shared["project"]
        with client.pipeline(transaction=True) as move:
            for key in entity_keys(client, project):
                if key.removesuffix(project.encode()) not in built:
                    move.delete(key)
            for entity, key in built.items():
                move.rename(key, entity + project.encode())
                move.persist(entity + project.encode())
            move.set(STATE, json.dumps(state))
            move.execute()


def delete(settings: Settings, project: str, join_key: str, gone: Callable[[bytes], bool]) -> int:
    """Delete the entities of a kind whose serialised key is gone, and return their number.

    Args:
        settings: the settings in force.
        project: Feast's project.
        join_key: the kind: `user_id`, `item_id` or `session_id`.
        gone: whether an entity is gone, by its key as Feast serialises it.

    Raises: as `read_state`.
    """
    with online_store.faults(settings):
        client = online_store.connect(settings)
        entities = [key for key in entity_keys(client, project) if kind(key, project) == join_key]
        doomed = [key for key in entities if gone(key.removesuffix(project.encode()))]
        return cast(int, client.delete(*doomed)) if doomed else 0


def kind(key: bytes, project: str) -> str:
    """Return the join key of an entity's key."""
    return deserialize_entity_key(key.removesuffix(project.encode()), 3).join_keys[0]


def entity_keys(client: "redis.Redis", project: str) -> list[bytes]:
    """Return the keys of a project's entities; keys of others, whose names may end alike, are left out."""
    suffix = project.encode()
    return [key for key in client.scan_iter(match=b"*" + suffix, count=1000) if is_entity(key.removesuffix(suffix))]


def is_entity(key: bytes) -> bool:
    """Whether bytes are an entity's key, and nothing more."""
    try:
        return serialize_entity_key(deserialize_entity_key(key, 3), 3) == key
    except Exception:  # Feast raises whatever its unpacking raises
        return False


def read_state(settings: Settings) -> dict[str, Any]:
    """Return what is online, as `replace` kept it.

    Raises:
        InputError: nothing is online yet, or the server refuses.
        UnavailableError: the server does not answer.
    """
    with online_store.faults(settings):
        text = cast(bytes | None, online_store.connect(settings).get(STATE))
    if text is None:
        raise InputError("No features are online yet.", "Run `segue run training` first.")
    return json.loads(text)
