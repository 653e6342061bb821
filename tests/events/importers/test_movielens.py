"""The importer of MovieLens, on hand-made files of its editions and on the real 100K."""

from datetime import UTC, date, datetime

import pytest

from events import dataset
from events.importers import movielens
from segue.errors import InputError
from tests.support.public_data_sets import SAMPLES

T = 874_724_400  # 1997-09-20 03:00:00 UTC, in the range of MovieLens 100K
FLAGS = {"Comedy": 5, "Drama": 8}


def item_100k(number: int, title: str, release: str, *genres: str) -> str:
    flags = ["1" if n in [FLAGS[g] for g in genres] else "0" for n in range(19)]
    return "|".join([str(number), title, release, "", "http://x", *flags])


@pytest.fixture
def folder_100k(tmp_path):
    # User 7 gives a like, a skip 29 min 59 s later (same session), and a play 30 min after that (new session).
    rows = [(7, 1, 5, T), (8, 1, 3, T), (7, 2, 2, T + 1799), (7, 3, 3, T + 1799 + 1800)]
    lines = ["\t".join(map(str, row)) for row in reversed(rows)]
    (tmp_path / "u.data").write_text("\n".join(lines) + "\n")
    movies = [
        item_100k(1, "Amélie (2001)", "25-Apr-2001", "Comedy", "Drama"),
        item_100k(2, "Undated (1995)", ""),
        item_100k(3, "unknown", ""),
    ]
    (tmp_path / "u.item").write_bytes("\n".join(movies).encode("latin-1"))
    (tmp_path / "u.user").write_text("7|24|M|technician|85711\n8|56|F|other|94043\n")
    return tmp_path


def test_100k_ratings_become_events(folder_100k):
    imported = movielens.read(folder_100k)
    assert imported.dataset == "movielens-100k"
    rows = imported.events.to_pylist()
    # Events are in order of time. User 8 comes first in the file, and so among the events of the same time.
    assert [row["event_id"] for row in rows] == ["ml-8-1", "ml-7-1", "ml-7-2", "ml-7-3"]
    assert [row["action"] for row in rows] == ["play", "like", "skip", "play"]
    assert [row["rating"] for row in rows] == [3.0, 5.0, 2.0, 3.0]
    assert [row["label_like"] for row in rows] == [0.0, 1.0, 0.0, 0.0]
    assert [row["label_skip"] for row in rows] == [0.0, 0.0, 1.0, 0.0]
    for unknown in ("play", "complete", "add", "listen"):
        assert [row[f"label_{unknown}"] for row in rows] == [None] * 4
    assert [row["session_id"] for row in rows] == ["8-s1", "7-s1", "7-s1", "7-s2"]
    assert rows[0]["ts"] == datetime(1997, 9, 20, 3, tzinfo=UTC)


def test_100k_movies_and_users(folder_100k):
    imported = movielens.read(folder_100k)
    assert imported.items["title"][0].as_py() == "Amélie (2001)"
    assert imported.items["genres"].to_pylist() == [["Comedy", "Drama"], [], []]
    assert imported.items["release_date"].to_pylist() == [date(2001, 4, 25), date(1995, 1, 1), None]
    assert set(imported.items["content_type"].to_pylist()) == {"movie"}
    assert imported.users["age_band"].to_pylist() == ["18-24", "56+"]


def test_the_stored_data_set_keeps_ratings_and_labels(folder_100k, tmp_path):
    dataset.write(tmp_path / "data", movielens.read(folder_100k))
    events = dataset.load(tmp_path / "data").events()
    assert {"rating", "label_play", "label_skip", "label_like"} < set(events.column_names)
    assert events["ms_played"].null_count == 4


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("7\t1\t5\t874724400\n7\t1\t3\t874724400\n8\t1\t3\t874724401\n", "u.data, row 2: event_id 'ml-7-1' is a dup"),
        ("7\t1\t5\t874724400\n8\t1\tfive\t874724400\n", "u.data, row 2: rating is 'five'"),
        ("7\t1\t5\t874724400\n8\t1\t3\tnoon\n", "u.data, row 2: ts is 'noon'"),
        ("7\t1\t5\t874724400\n8\t1\t3\n", "u.data: row 2: expected 4 columns, got 3"),
        ("7\t1\t5\t874724400\n\t1\t3\t874724400\n", "u.data, row 2: user_id is null"),
        ("7\t1\t5\t874724400\n8\t1\t\t874724400\n", "u.data, row 2: rating is null"),
        ("7\t1\t5\t1\n8\t1\t3\t874724400\n", "u.data, row 1: ts 1970-01-01T00:00:01 lies outside"),
        ("", "u.data is empty"),
    ],
)
def test_errors_in_a_file_name_the_row(folder_100k, tmp_path, lines, message):
    (folder_100k / "u.data").write_text(lines)
    with pytest.raises(InputError, match=message):
        dataset.write(tmp_path / "data", movielens.read(folder_100k))


def test_the_1m_edition(tmp_path):
    (tmp_path / "ratings.dat").write_text(f"1::10::4::{T}\n2::10::1::{T}\n")
    (tmp_path / "movies.dat").write_bytes("10::Amélie: A Tale (2001)::Comedy|Romance\n".encode("latin-1"))
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
    imported = movielens.read(tmp_path)
    assert imported.dataset == "movielens-1m"
    assert imported.events["action"].to_pylist() == ["like", "skip"]
    assert imported.items.to_pylist() == [
        {
            "item_id": "10",
            "title": "Amélie: A Tale (2001)",
            "content_type": "movie",
            "genres": ["Comedy", "Romance"],
            "release_date": date(2001, 1, 1),
        }
    ]
    assert imported.users["age_band"].to_pylist() == ["0-17", "56+"]


@pytest.fixture
def folder_10m(tmp_path):
    (tmp_path / "ratings.dat").write_text(f"1::10::4.5::{T}\n2::10::0.5::{T}\n")
    (tmp_path / "movies.dat").write_text("10::Amélie (2001)::Comedy|Romance\n", encoding="utf-8")
    (tmp_path / "tags.dat").write_text(f"1::10::boxing::{T}\n")
    return tmp_path


def test_the_10m_edition_has_utf_8_titles_half_stars_and_no_users(folder_10m):
    imported = movielens.read(folder_10m)
    assert imported.dataset == "movielens-10m"
    assert imported.items["title"].to_pylist() == ["Amélie (2001)"]
    assert imported.events["rating"].to_pylist() == [4.5, 0.5]
    assert imported.users["user_id"].to_pylist() == ["1", "2"]


@pytest.mark.parametrize(
    ("times", "ids"),
    [
        ((T, T + 1), ["ml-1-10", f"ml-1-10-{T + 1}"]),
        ((T + 1, T), ["ml-1-10", f"ml-1-10-{T + 1}"]),
        ((T, T + 1, T + 9), ["ml-1-10", f"ml-1-10-{T + 1}", f"ml-1-10-{T + 9}"]),
    ],
)
def test_a_film_rated_again_later_is_a_further_event(folder_10m, tmp_path, times, ids):
    (folder_10m / "ratings.dat").write_text("".join(f"1::10::3::{t}\n" for t in times) + f"2::10::3::{T + 99}\n")
    dataset.write(tmp_path / "data", movielens.read(folder_10m))
    assert dataset.load(tmp_path / "data").events()["event_id"].to_pylist() == [*ids, "ml-2-10"]


def test_ratings_dat_with_neither_users_nor_tags_says_what_each_edition_needs(folder_10m):
    (folder_10m / "tags.dat").unlink()
    with pytest.raises(InputError, match=r"has ratings.dat, but not users.dat or tags.dat"):
        movielens.read(folder_10m)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("ml-20m", "movielens-20m"), ("ml-32m", "movielens-32m"), ("ml-latest-small", "movielens-latest")],
)
def test_the_name_of_the_folder_tells_the_edition_of_csv_files(tmp_path, folder, name):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "ratings.csv").write_text(f"userId,movieId,rating,timestamp\n1,10,4.5,{T}\n2,10,2.5,{T}\n")
    (tmp_path / folder / "movies.csv").write_text("movieId,title,genres\n10,A (1999),Drama\n")
    assert movielens.read(tmp_path / folder).dataset == name


def test_the_latest_edition(tmp_path):
    (tmp_path / "ratings.csv").write_text(f"userId,movieId,rating,timestamp\n1,10,4.5,{T}\n2,10,2.5,{T}\n")
    (tmp_path / "movies.csv").write_text('movieId,title,genres\n10,"Toys, The (1992)",(no genres listed)\n')
    imported = movielens.read(tmp_path)
    assert imported.dataset == "movielens-latest"
    assert imported.events["action"].to_pylist() == ["like", "play"]
    assert imported.items["title"].to_pylist() == ["Toys, The (1992)"]
    assert imported.items["genres"].to_pylist() == [[]]
    assert imported.users["user_id"].to_pylist() == ["1", "2"]


def test_the_latest_edition_without_a_column_is_refused(tmp_path):
    (tmp_path / "ratings.csv").write_text("user,movieId,rating,timestamp\n1,10,4.5,1\n")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n10,A,B\n")
    with pytest.raises(InputError, match=r"ratings.csv: the column 'userId' is missing. It has: user, movieId"):
        movielens.read(tmp_path)


def test_the_error_about_an_unknown_folder_lists_the_expected_files(tmp_path):
    with pytest.raises(InputError, match=r"looked for u.data and u.item and u.user; or ratings.dat"):
        movielens.read(tmp_path)


def test_the_error_about_an_incomplete_data_set_names_the_missing_file(folder_100k):
    (folder_100k / "u.user").unlink()
    with pytest.raises(InputError, match=r"has u.data, but not u.user"):
        movielens.read(folder_100k)


def test_the_real_100k(shared_data, tmp_path):
    manifest = dataset.write(tmp_path / "data", movielens.read(shared_data / "ml-100k"))
    assert manifest["counts"] == {"items": 1_682, "users": 943, "events": 100_000, "quarantined": 0}
    # u.data holds 21,201 fives, 34,174 fours, 27,145 threes, 11,370 twos, 6,110 ones.
    assert manifest["actions"] == {"like": 55_375, "play": 27_145, "skip": 17_480}
    assert manifest["span"]["first"].startswith("1997-09-20")


@pytest.mark.parametrize("second", ["ml-25m", "ml-1m", "ml-100k"])
def test_a_folder_of_several_data_sets_is_refused_and_one_that_is_itself_a_data_set_is_read(tmp_path, second):
    names = {"ml-25m": "ratings.csv", "ml-1m": "ratings.dat", "ml-100k": "u.data"}
    SAMPLES["movielens-latest"].write(tmp_path / "first")
    (tmp_path / second).mkdir()
    (tmp_path / second / names[second]).write_text("")
    with pytest.raises(InputError, match=rf"holds several MovieLens data sets: .*first, .*{second}"):
        movielens.read(tmp_path)
    (tmp_path / second).rename(tmp_path / "first" / second)
    assert movielens.read(tmp_path / "first").events.num_rows == 2
