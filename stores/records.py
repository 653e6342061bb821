"""The records of a run, which on a cluster are in the object store, because each step has a home of its own.

In the profile `embedded` all steps write into one home, and nothing here moves a file.
"""

from segue.settings import Home, RunFolder
from stores import folders
from stores.parallel import in_parallel
from stores.s3 import Bucket
from stores.settings import settings

OWN = ("artifacts", "checkpoints", "tmp", "lock", "run.log")  # of one machine: KFP carries artifacts, nobody the rest


def bring(run: RunFolder) -> dict[str, str]:
    """Write the records that earlier steps of a run have kept into the run's folder.

    Returns:
        The SHA-256 of each record that is there now, by name; empty in the profile `embedded`.

    Raises:
        InputError: the object store refuses.
        UnavailableError: the object store does not answer.
    """
    bucket = shared()
    if bucket is None:
        return {}
    run.path.mkdir(parents=True, exist_ok=True)
    bucket.download_tree(prefix(run), run.path)
    return digests(run)


def keep(run: RunFolder, before: dict[str, str]) -> None:
    """Keep the records that a step has written. Those of other steps may be newer in the object store.

    Args:
        run: the run's folder.
        before: what `bring` returned when the step began.

    Raises: as `bring`.
    """
    bucket = shared()
    if bucket is None:
        return
    now = digests(run)
    changed = [name for name, digest in now.items() if before.get(name) != digest]
    in_parallel(lambda name: bucket.put_file(f"{prefix(run)}/{name}", run.path / name, now[name]), changed)


def bring_unsent(home: Home) -> None:
    """Bring the runs whose records MLflow does not have yet.

    Raises: as `bring`.
    """
    bucket = shared()
    if bucket is None:
        return
    for stored in bucket.list("runs/"):
        run_id, _, name = stored.key.removeprefix("runs/").partition("/")
        if name == home.run(run_id).unsent.name:
            bring(home.run(run_id))


def drop_sent(home: Home) -> None:
    """Remove the marks of the runs whose records MLflow has by now.

    Raises: as `bring`.
    """
    if bucket := shared():
        sent = [run for run in home.run_folders() if not run.unsent.is_file()]
        bucket.delete(f"{prefix(run)}/{run.unsent.name}" for run in sent)


def digests(run: RunFolder) -> dict[str, str]:
    """Return the SHA-256 of each record of a run by name."""
    names = (name for name in folders.names(run.path) if name.partition("/")[0] not in OWN)
    return {name: folders.sha256(run.path / name) for name in names}


def prefix(run: RunFolder) -> str:
    """Return the beginning of the keys of a run's records."""
    return f"runs/{run.path.name}"


def shared() -> Bucket | None:
    """Return the bucket that the steps of a run share; None in the profile `embedded`."""
    now = settings()
    return Bucket.at(str(now.objects), now) if now.clustered else None
