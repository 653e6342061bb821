"""Snapshots of drift comparisons: numbered, bounded, and read in their order."""

import gzip
import json

from monitoring.snapshots import KEPT, keep, listed


class Snapshot:
    """What Evidently makes, as far as it is kept."""

    def __init__(self, value):
        self.value = value

    def dumps(self):
        return json.dumps(self.value)


def test_snapshots_are_kept_in_order_and_the_oldest_go(tmp_path):
    for value in range(KEPT + 3):
        keep(Snapshot(value), tmp_path)
    files = listed(tmp_path)
    assert [json.loads(gzip.decompress(path.read_bytes())) for path in files] == list(range(3, KEPT + 3))
    assert (files[0].name, files[-1].name) == ("000004.json.gz", f"{KEPT + 3:06}.json.gz")


def test_other_files_are_no_snapshots(tmp_path):
    (tmp_path / "notes.json.gz").touch()
    (tmp_path / "000001.json").touch()
    assert listed(tmp_path) == []
    assert listed(tmp_path / "absent") == []
