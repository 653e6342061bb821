"""Import any edition of MovieLens, recognised by the files in the folder. Each rating becomes one event."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import canonical, schema
from events.imported import Imported
from events.importers import ratings as stars
from events.importers import text_files
from events.importers.public import folders, logs
from events.origins import RowOrigins
from segue.errors import InputError

RATING_COLUMNS = ("user_id", "item_id", "rating", "timestamp")
MOVIE_COLUMNS = ("item_id", "title", "genres")
NO_GENRE = ("unknown", "(no genres listed)")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
AGES_1M = {
    "1": "0-17", "18": "18-24", "25": "25-34", "35": "35-44", "45": "45-49", "50": "50-55", "56": "56+",
}  # fmt: skip
AGE_ENDS = (18, 25, 35, 45, 50, 56)  # first year of each band but the youngest; 100K gives ages in years
AGE_BANDS = tuple(AGES_1M.values())

MAPPING = (
    *stars.MAPPING,
    "label_play, label_complete and label_listen are unknown: a rating does not say how long the film was watched",
    "label_add is unknown",
    "a film that a listener rates again at another time -> a further event",
    "tags, links and genome scores are not read",
    logs.SESSION_RULE,
)


@dataclass(frozen=True)
class Files:
    """The tables read from one edition, each with the origins of its rows. `latest` has no users."""

    dataset: str
    ratings: tuple[pa.Table, RowOrigins]
    items: tuple[pa.Table, RowOrigins]
    users: tuple[pa.Table, RowOrigins] | None


def read(folder: Path) -> Imported:
    """Read the MovieLens edition in a folder.

    Raises:
        InputError: The folder holds none of the editions, or a file breaks its format.
    """
    folders.require_folder(folder)
    inside = {path.parent for names in EDITIONS for path in folders.matches(folder, names[0])}
    if len(inside) > 1 and folder not in inside:
        raise InputError(
            f"{folder} holds several MovieLens data sets: {', '.join(sorted(map(str, inside)))}.",
            "Give the path of one of them.",
        )
    if len(inside) == 1:
        (folder,) = inside
    absent = {names: [name for name in names if not (folder / name).is_file()] for names in EDITIONS}
    for names, missing in absent.items():
        if not missing:
            return to_imported(EDITIONS[names](folder))
    begun = next((names[0] for names, missing in absent.items() if names[0] not in missing), None)
    if begun:
        wanted = " or ".join(" and ".join(missing) for names, missing in absent.items() if names[0] == begun)
        raise InputError(f"{folder} has {begun}, but not {wanted}.", "Unpack the whole data set into the folder.")
    looked = "; or ".join(" and ".join(names) for names in EDITIONS)
    raise InputError(
        f"{folder} holds no MovieLens data set: looked for {looked}. It has: {folders.contents(folder)}.",
        "Unpack a MovieLens data set and give the path of its folder.",
    )


def to_imported(files: Files) -> Imported:
    """Return the canonical tables of an edition. Without a table of users, they are the user ids of the ratings."""
    events, event_origins = rating_events(*files.ratings)
    items, item_origins = files.items
    origins = {"events": event_origins, "items": item_origins}
    if files.users:
        users, origins["users"] = files.users
    else:
        users = pa.table({"user_id": pc.unique(events["user_id"].drop_null())})
    return Imported(files.dataset, items, users, events, mapping=MAPPING, origins=origins)


def rating_events(ratings: pa.Table, origins: RowOrigins) -> tuple[pa.Table, RowOrigins]:
    """Return one event for each rating, in order of time, with the origins of the events.

    Args:
        ratings: `user_id, item_id, rating, timestamp` as text.
        origins: Origins of these rows.
    """
    ts = canonical.cast_required(ratings["timestamp"], schema.EVENTS.field("ts"), origins)
    rating = canonical.cast_required(ratings["rating"], stars.RATING, origins)
    order = np.argsort(ts.cast(pa.int64()).to_numpy(), kind="stable")
    ratings, origins = ratings.take(order), origins.take(order)
    ts, rating = ts.take(pa.array(order)), rating.take(pa.array(order))
    table = pa.table({
        "event_id": event_ids(ratings),
        "user_id": ratings["user_id"],
        "item_id": ratings["item_id"],
        "ts": ts,
        "session_id": logs.session_ids(ratings["user_id"], ts),
        **stars.actions_and_labels(rating),
    })  # fmt: skip
    return table, origins


def event_ids(ratings: pa.Table) -> pa.ChunkedArray:
    """Return `ml-user-item`, and `ml-user-item-time` if the listener has rated the film before.

    A row that repeats an earlier one, time included, keeps that row's id, so the import refuses it.
    """
    ids = pc.binary_join_element_wise("ml", ratings["user_id"], ratings["item_id"], "-")
    codes = logs.codes(ids)
    _, first = np.unique(codes, return_index=True)
    first_time = ratings["timestamp"].take(pa.array(first[codes]))
    timed = pc.binary_join_element_wise(ids, ratings["timestamp"], "-")
    return pc.if_else(pc.equal(ratings["timestamp"], first_time), ids, timed)


def read_100k(folder: Path) -> Files:
    """Read MovieLens 100K: `u.data`, `u.item` and `u.user`."""
    ratings = text_files.read(folder / "u.data", RATING_COLUMNS, "\t", quoted=False)
    item_columns = ("item_id", "title", "release", "video_release", "url", *GENRES_100K)
    movies, movie_origins = text_files.read(folder / "u.item", item_columns, "|", "latin-1", quoted=False)
    users, user_origins = text_files.read(
        folder / "u.user", ("user_id", "age", "gender", "occupation", "zip"), "|", quoted=False
    )
    flags = [movies[genre].to_pylist() for genre in GENRES_100K]
    genres = [
        [genre for genre, flag in zip(GENRES_100K, row, strict=True) if flag == "1" and genre not in NO_GENRE]
        for row in zip(*flags, strict=True)
    ]
    items = movie_table(movies, genres, [parse_release(text) for text in movies["release"].to_pylist()])
    ages = canonical.cast(users["age"], pa.field("age", pa.int64()), user_origins).to_pylist()
    bands = [None if years is None else AGE_BANDS[np.searchsorted(AGE_ENDS, years, "right")] for years in ages]
    listeners = pa.table({"user_id": users["user_id"], "age_band": pa.array(bands, pa.string())})
    return Files("movielens-100k", ratings, (items, movie_origins), (listeners, user_origins))


def read_1m(folder: Path) -> Files:
    """Read MovieLens 1M: `ratings.dat`, `movies.dat` and `users.dat`, in Latin-1."""
    ratings = read_dat(folder / "ratings.dat", RATING_COLUMNS, "latin-1")
    movies, movie_origins = read_dat(folder / "movies.dat", MOVIE_COLUMNS, "latin-1")
    users, user_origins = read_dat(folder / "users.dat", ("user_id", "gender", "age", "occupation", "zip"), "latin-1")
    bands = [AGES_1M.get(age) for age in users["age"].to_pylist()]
    listeners = pa.table({"user_id": users["user_id"], "age_band": pa.array(bands, pa.string())})
    return Files("movielens-1m", ratings, (items_of(movies), movie_origins), (listeners, user_origins))


def read_10m(folder: Path) -> Files:
    """Read MovieLens 10M: `ratings.dat` and `movies.dat`, in UTF-8. There are half stars and no users."""
    ratings = read_dat(folder / "ratings.dat", RATING_COLUMNS, "utf-8")
    movies, movie_origins = read_dat(folder / "movies.dat", MOVIE_COLUMNS, "utf-8")
    return Files("movielens-10m", ratings, (items_of(movies), movie_origins), None)


def read_dat(path: Path, columns: tuple[str, ...], encoding: str) -> tuple[pa.Table, RowOrigins]:
    """Read a file whose columns are separated by `::`."""
    return text_files.read(path, columns, "::", encoding, quoted=False)


def read_csv_edition(folder: Path) -> Files:
    """Read MovieLens 20M, 25M, 32M or latest: `ratings.csv` and `movies.csv`. Only the folder's name tells which."""
    ratings, rating_origins = text_files.read(
        folder / "ratings.csv", needed=("userId", "movieId", "rating", "timestamp")
    )
    movies, movie_origins = text_files.read(folder / "movies.csv", needed=("movieId", "title", "genres"))
    names = {"userId": "user_id", "movieId": "item_id"}
    ratings = ratings.rename_columns([names.get(name, name) for name in ratings.column_names])
    movies = movies.rename_columns([names.get(name, name) for name in movies.column_names])
    edition = re.fullmatch(r"ml-(\d+m)", folder.resolve().name)
    name = f"movielens-{edition[1] if edition else 'latest'}"
    return Files(name, (ratings, rating_origins), (items_of(movies), movie_origins), None)


EDITIONS = {
    ("u.data", "u.item", "u.user"): read_100k,
    ("ratings.dat", "movies.dat", "users.dat"): read_1m,
    ("ratings.dat", "movies.dat", "tags.dat"): read_10m,
    ("ratings.csv", "movies.csv"): read_csv_edition,
}


def items_of(movies: pa.Table) -> pa.Table:
    """Return the items of the editions that give genres as `A|B` and the year of release in the title."""
    genres = [
        [genre for genre in (text or "").split(canonical.LIST_SEPARATOR) if genre and genre not in NO_GENRE]
        for text in movies["genres"].to_pylist()
    ]
    return movie_table(movies, genres, [None] * movies.num_rows)


def movie_table(movies: pa.Table, genres: list[list[str]], releases: list[date | None]) -> pa.Table:
    """Return the items. A movie without a release date gets the first day of the year in its title."""
    dates = [release or year_of(title) for release, title in zip(releases, movies["title"].to_pylist(), strict=True)]
    return pa.table({
        "item_id": movies["item_id"],
        "title": movies["title"],
        "content_type": pa.array(["movie"] * movies.num_rows),
        "genres": pa.array(genres, pa.list_(pa.string())),
        "release_date": pa.array(dates, pa.date32()),
    })  # fmt: skip


def parse_release(text: str | None) -> date | None:
    """Parse a date such as `01-Jan-1995`; return None for anything else.

    `strptime` is not used because its `%b` depends on the locale.
    """
    match = re.fullmatch(r"(\d{1,2})-([A-Z][a-z]{2})-(\d{4})", text or "")
    if not match or match[2] not in MONTHS:
        return None
    return date(int(match[3]), MONTHS.index(match[2]) + 1, int(match[1]))


def year_of(title: str | None) -> date | None:
    """Return the first day of the year at the end of a title such as `Toy Story (1995)`, or None."""
    match = re.search(r"\((\d{4})\)\s*$", title or "")
    return date(int(match[1]), 1, 1) if match and int(match[1]) > 0 else None
