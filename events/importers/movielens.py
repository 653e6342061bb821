"""MovieLens 100K, 1M and latest: told apart by their files. One event a rating."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import canonical as columns
from events import schema
from events.imported import Imported, Source
from events.importers import text_files
from events.importers.sessions import sessions
from segue.errors import InputError

LIKED, DISLIKED = 4.0, 2.0  # a rating from here up is a like, from here down a skip
NO_GENRE = ("unknown", "(no genres listed)")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
RATING = pa.field("rating", pa.float64())
AGES_1M = {
    "1": "0-17", "18": "18-24", "25": "25-34", "35": "35-44", "45": "45-49", "50": "50-55", "56": "56+",
}  # fmt: skip
AGE_ENDS = (18, 25, 35, 45, 50, 56)  # 100K states years; the bands are those of 1M
AGE_BANDS = tuple(AGES_1M.values())

MAPPING = (
    "rating >= 4 -> like (label_like 1, label_skip 0)",
    "rating <= 2 -> skip (label_like 0, label_skip 1)",
    "any other rating -> play (label_like 0, label_skip 0)",
    "label_play, label_complete, label_listen are unknown: a rating does not say how long was watched",
    "label_add is unknown",
    "30 minutes without a rating -> a new session",
)


@dataclass(frozen=True)
class Files:
    """What one edition consists of, read: ratings, movies and perhaps users, each with its source."""

    dataset: str
    ratings: tuple[pa.Table, Source]
    items: tuple[pa.Table, Source]
    users: tuple[pa.Table, Source] | None


def read(folder: Path) -> Imported:
    """Read the MovieLens edition in a folder.

    Raises:
        InputError: the folder holds none of the editions, or a file breaks its format.
    """
    for (needed, *others), reader in EDITIONS.items():
        if (folder / needed).is_file():
            absent = [name for name in others if not (folder / name).is_file()]
            if absent:
                raise InputError(f"{folder} has {needed}, but not {absent[0]}.", "Unpack the whole data set.")
            return imported(reader(folder))
    looked = "; or ".join(" and ".join(names) for names in EDITIONS)
    raise InputError(f"{folder} holds no MovieLens data set: looked for {looked}.", "Check the folder.")


def imported(files: Files) -> Imported:
    """The canonical tables of an edition."""
    ratings, source = files.ratings
    events, source = rated(ratings, source)
    sources = {"events": source, "items": files.items[1]}
    if files.users:
        users, sources["users"] = files.users
    else:
        users = pa.table({"user_id": pc.unique(events["user_id"].drop_null())})
    return Imported(files.dataset, files.items[0], users, events, mapping=MAPPING, sources=sources)


def rated(ratings: pa.Table, source: Source) -> tuple[pa.Table, Source]:
    """Events from ratings: `user_id, item_id, rating, timestamp` as text."""
    ts = columns.required(ratings["timestamp"], schema.EVENTS.field("ts"), source)
    rating = columns.required(ratings["rating"], RATING, source)
    order = np.argsort(ts.cast(pa.int64()).to_numpy(), kind="stable")
    ratings, source = ratings.take(order), source.take(order)
    ts, rating = ts.take(pa.array(order)), rating.take(pa.array(order))
    user = ratings["user_id"].combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy()
    number = pa.array(sessions(user, ts.cast(pa.int64()).to_numpy())).cast(pa.string())
    like, skip = pc.greater_equal(rating, LIKED), pc.less_equal(rating, DISLIKED)
    action = pc.if_else(like, schema.LIKE, pc.if_else(skip, schema.SKIP, schema.PLAY))
    nothing = pa.nulls(len(rating), pa.float32())
    table = pa.table({
        "event_id": pc.binary_join_element_wise("ml", ratings["user_id"], ratings["item_id"], "-"),
        "user_id": ratings["user_id"],
        "item_id": ratings["item_id"],
        "ts": ts,
        "session_id": pc.binary_join_element_wise(ratings["user_id"], number, "-s"),
        "action": action,
        "rating": rating,
        "label_play": nothing,
        "label_complete": nothing,
        "label_skip": skip.cast(pa.float32()),
        "label_like": like.cast(pa.float32()),
        "label_add": nothing,
        "label_listen": nothing,
    })  # fmt: skip
    return table, source


def read_100k(folder: Path) -> Files:
    """`u.data`, `u.item`, `u.user`."""
    ratings = text_files.read(folder / "u.data", ("user_id", "item_id", "rating", "timestamp"), "\t", quoted=False)
    item_columns = ("item_id", "title", "release", "video_release", "url", *GENRES_100K)
    movies, movies_source = text_files.read(folder / "u.item", item_columns, "|", "latin-1", quoted=False)
    users, users_source = text_files.read(
        folder / "u.user", ("user_id", "age", "gender", "occupation", "zip"), "|", quoted=False
    )
    flags = [movies[genre].to_pylist() for genre in GENRES_100K]
    genres = [
        [genre for genre, flag in zip(GENRES_100K, row, strict=True) if flag == "1" and genre not in NO_GENRE]
        for row in zip(*flags, strict=True)
    ]
    items = movie_table(movies, genres, [released(text) for text in movies["release"].to_pylist()])
    age = columns.cast(users["age"], pa.field("age", pa.int64()), users_source).to_pylist()
    bands = [None if years is None else AGE_BANDS[np.searchsorted(AGE_ENDS, years, "right")] for years in age]
    listeners = pa.table({"user_id": users["user_id"], "age_band": pa.array(bands, pa.string())})
    return Files("movielens-100k", ratings, (items, movies_source), (listeners, users_source))


def read_1m(folder: Path) -> Files:
    """`ratings.dat`, `movies.dat`, `users.dat`."""

    def read_dat(name: str, columns_: tuple[str, ...]) -> tuple[pa.Table, Source]:
        return text_files.read(folder / name, columns_, "::", "latin-1", quoted=False)

    ratings = read_dat("ratings.dat", ("user_id", "item_id", "rating", "timestamp"))
    movies, movies_source = read_dat("movies.dat", ("item_id", "title", "genres"))
    users, users_source = read_dat("users.dat", ("user_id", "gender", "age", "occupation", "zip"))
    bands = [AGES_1M.get(age) for age in users["age"].to_pylist()]
    listeners = pa.table({"user_id": users["user_id"], "age_band": pa.array(bands, pa.string())})
    return Files("movielens-1m", ratings, (titled(movies), movies_source), (listeners, users_source))


def read_latest(folder: Path) -> Files:
    """`ratings.csv`, `movies.csv`."""
    ratings, source = text_files.read(folder / "ratings.csv", needed=("userId", "movieId", "rating", "timestamp"))
    movies, movies_source = text_files.read(folder / "movies.csv", needed=("movieId", "title", "genres"))
    names = {"userId": "user_id", "movieId": "item_id"}
    ratings = ratings.rename_columns([names.get(name, name) for name in ratings.column_names])
    movies = movies.rename_columns([names.get(name, name) for name in movies.column_names])
    return Files("movielens-latest", (ratings, source), (titled(movies), movies_source), None)


EDITIONS = {
    ("u.data", "u.item", "u.user"): read_100k,
    ("ratings.dat", "movies.dat", "users.dat"): read_1m,
    ("ratings.csv", "movies.csv"): read_latest,
}


def titled(movies: pa.Table) -> pa.Table:
    """Items of the editions that state genres as `A|B` and the year in the title."""
    genres = [
        [genre for genre in (text or "").split(columns.LIST_SEPARATOR) if genre and genre not in NO_GENRE]
        for text in movies["genres"].to_pylist()
    ]
    return movie_table(movies, genres, [None] * movies.num_rows)


def movie_table(movies: pa.Table, genres: list[list[str]], releases: list[date | None]) -> pa.Table:
    """Items; a release that is not stated is the first day of the year in the title."""
    dates = [release or year_of(title) for release, title in zip(releases, movies["title"].to_pylist(), strict=True)]
    return pa.table({
        "item_id": movies["item_id"],
        "title": movies["title"],
        "content_type": pa.array(["movie"] * movies.num_rows),
        "genres": pa.array(genres, pa.list_(pa.string())),
        "release_date": pa.array(dates, pa.date32()),
    })  # fmt: skip


def released(text: str | None) -> date | None:
    """A date such as `01-Jan-1995`. By hand: `%b` depends on the locale."""
    match = re.fullmatch(r"(\d{1,2})-([A-Z][a-z]{2})-(\d{4})", text or "")
    if not match or match[2] not in MONTHS:
        return None
    return date(int(match[3]), MONTHS.index(match[2]) + 1, int(match[1]))


def year_of(title: str | None) -> date | None:
    """The first day of the year that ends a title: `Toy Story (1995)`."""
    match = re.search(r"\((\d{4})\)\s*$", title or "")
    return date(int(match[1]), 1, 1) if match and int(match[1]) > 0 else None
