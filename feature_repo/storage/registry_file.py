"""Feast's registry in a file, replaced as a whole."""

from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry

from segue.files import atomic_path


class AtomicRegistryStore(FileRegistryStore):
    """Writes the registry beside its place first.

    Feast empties the file and then writes it. If it is killed in between, or the disk is full, no command can read the
    registry any more, and no run can write it anew.
    """

    def update_registry_proto(self, registry_proto: Registry) -> None:
        """Replace the registry."""
        target = self._filepath
        try:
            with atomic_path(target) as self._filepath:
                super().update_registry_proto(registry_proto)
        finally:
            self._filepath = target
