"""The contract of every importer of a public data set, run on small samples in the publishers' formats."""

import re
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from events import dataset, schema
from events.checks import check
from events.importers.registry import DATA_SETS
from segue.errors import InputError
from tests.support.public_data_sets import SAMPLES

ORIGINAL = "the [original] data *?#é's"  # any path works
LATEST = datetime(2026, 1, 1, tzinfo=UTC)


def test_every_public_data_set_has_a_sample():
    assert {sample.name for sample in SAMPLES.values()} == set(DATA_SETS)


@pytest.fixture(params=SAMPLES)
def sample(request):
    return SAMPLES[request.param]


@pytest.fixture
def data_set(sample):
    return DATA_SETS[sample.name]


@pytest.fixture
def folder(sample, tmp_path):
    return sample.write(tmp_path / ORIGINAL)


class TestEveryImporter:
    def test_rows_become_these_events_in_utc(self, sample, data_set, folder, tmp_path):
        dataset.write(tmp_path / "data", data_set.read(folder), LATEST)
        events = dataset.load(tmp_path / "data").events()
        assert events.schema.field("ts").type == schema.TIMESTAMP
        rows = [(row["user_id"], row["item_id"], row["action"], row["ts"]) for row in events.to_pylist()]
        expected = [(*rest, datetime.fromisoformat(text).replace(tzinfo=UTC)) for *rest, text in sample.events]
        assert rows == expected

    def test_it_passes_the_checks_with_unique_ids_and_positives(self, data_set, folder):
        checked = check(data_set.read(folder), LATEST)
        ids = checked.events["event_id"].to_pylist()
        assert len(set(ids)) == len(ids)
        assert set(checked.events["action"].to_pylist()) & set(schema.POSITIVE)

    def test_every_label_is_stated_so_that_none_is_guessed(self, data_set, folder):
        events = data_set.read(folder).events
        assert set(schema.LABEL_COLUMNS) <= set(events.column_names)
        for name in schema.LABEL_COLUMNS:
            assert events[name].type == pa.float32()

    def test_the_manifest_has_the_mapping_and_the_licence(self, data_set, folder, tmp_path):
        manifest = dataset.write(tmp_path / "data", data_set.read(folder), LATEST)
        assert manifest["licence"] == data_set.licence
        assert len(manifest["mapping"]) >= 3

    def test_the_same_files_give_the_same_bytes(self, data_set, folder, tmp_path):
        manifests = [dataset.write(tmp_path / name, data_set.read(folder), LATEST) for name in "ab"]
        assert manifests[0]["sha256"] == manifests[1]["sha256"]

    def test_a_missing_file_is_one_error_that_names_it_and_the_folder_s_files(self, sample, data_set, folder):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in files:
            path.rename(path.with_name(f"renamed-{path.name}.bak"))
        with pytest.raises(InputError) as error:
            data_set.read(folder)
        assert f"holds no {data_set.title} data set: looked for" in error.value.headline
        assert "It has: " in error.value.headline
        assert "\n" not in error.value.headline
        assert error.value.fix

    @pytest.mark.parametrize("inner", ["a", "a/b"])
    def test_an_archive_may_be_unpacked_into_folders_of_its_own(self, sample, data_set, tmp_path, inner):
        """As Windows does; a Mac leaves a folder of its own beside them."""
        expected = dataset.write(tmp_path / "data", data_set.read(sample.write(tmp_path / "flat")), LATEST)
        sample.write(tmp_path / "nested" / inner)
        for name in sample.files:
            leftover = tmp_path / "nested" / "__MACOSX" / f"._{name.rpartition('/')[2]}"
            leftover.parent.mkdir(exist_ok=True)
            leftover.write_bytes(b"\0\5\x16\7")
        nested = dataset.write(tmp_path / "data", data_set.read(tmp_path / "nested"), LATEST)
        assert (nested["counts"], nested["span"]) == (expected["counts"], expected["span"])

    @pytest.mark.parametrize("name", ["nowhere", "archive.zip"])
    def test_a_folder_that_is_none_is_refused(self, data_set, tmp_path, name):
        (tmp_path / "archive.zip").write_bytes(b"PK")
        with pytest.raises(InputError, match=rf"{name} (does not exist|is a file, not a folder)"):
            data_set.read(tmp_path / name)

    def test_a_malformed_row_is_named_with_its_file(self, sample, data_set, folder, tmp_path):
        name, addition, message = sample.broken
        path = tmp_path / ORIGINAL / name
        path.write_bytes(path.read_bytes() + addition.encode())
        with pytest.raises(InputError, match=re.escape(message)) as error:
            check(data_set.read(folder), LATEST)
        assert "\n" not in error.value.headline

    def test_an_empty_file_is_refused_by_name(self, sample, data_set, folder, tmp_path):
        name = sample.broken[0]
        (tmp_path / ORIGINAL / name).write_text("")
        with pytest.raises(InputError, match=name.rpartition("/")[2]):
            check(data_set.read(folder), LATEST)
