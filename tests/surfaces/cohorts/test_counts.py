"""The counts of cohorts: what is written is what is read, over all gateways."""

import asyncio
from datetime import timedelta

import pytest

from segue.errors import InputError
from serving.rollouts.kept_counts import FileCounts
from surfaces.cohorts.counts import SLOW_SECONDS, Answers, CohortCounts, read_counts
from tests.surfaces.conftest import NOW

LATER = NOW + timedelta(seconds=1)


def test_the_counts_of_all_gateways_add_up(tmp_path):
    first, second = CohortCounts(), CohortCounts()
    first.by_number[3]["candidate"].add(True, 0.1, LATER)
    first.by_number[3]["control"].add(False, SLOW_SECONDS * 2, NOW)
    second.by_number[3]["candidate"].add(False, 0.3, NOW)
    second.by_number[4]["candidate"].add(False, 0.1, NOW)
    for gateway in (first, second, first):  # written again, it counts once
        asyncio.run(gateway.write(FileCounts(tmp_path)))
    assert read_counts(FileCounts(tmp_path), 3) == {
        "candidate": Answers(2, 1, 1, pytest.approx(0.4), newest=LATER),
        "control": Answers(1, 0, 1, 2 * SLOW_SECONDS, newest=NOW),
    }
    assert read_counts(FileCounts(tmp_path), 5) == {}
    assert 'segue_gateway_cohort_answers_total{rollout="3",cohort="candidate",kind="errors"} 1' in list(first.lines())


@pytest.mark.parametrize("counted", ['"requests": "many"', '"errors": -1', '"newest": "2026-03-02T10:00:00"'])
def test_a_damaged_file_is_named(tmp_path, counted):
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "a.json").write_text(f'{{"control": {{{counted}}}}}')
    with pytest.raises(InputError, match=r"a\.json must have a gateway's counts"):
        read_counts(FileCounts(tmp_path), 3)


def test_a_disk_that_is_full_is_said_once_and_nothing_is_lost(tmp_path, caplog):
    counts = CohortCounts()
    counts.by_number[3]["control"].add(False, 0.1, NOW)
    (tmp_path / "blocked").write_text("a file where the folder should be")
    for _ in range(2):
        asyncio.run(counts.write(FileCounts(tmp_path / "blocked")))
    assert caplog.text.count("not written") == 1
    asyncio.run(counts.write(FileCounts(tmp_path)))
    assert read_counts(FileCounts(tmp_path), 3)["control"].requests == 1
