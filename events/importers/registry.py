"""The public data sets that Segue imports: what each holds, its licence, its files and its importer.

This module imports no importer, so that `segue data import --help` stays quick. To add a data set, write a module with
`read(folder) -> Imported` and add an entry here; the command, `--list` and the contract tests find it.
"""

from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from events.imported import Imported

GROUPLENS = "research only, not commercial without permission; to be cited (GroupLens)"
LASTFM = "non-commercial use only (Last.fm)"


@dataclass(frozen=True)
class DataSet:
    """A public data set.

    Args:
        title: Name that the publisher gave it.
        holds: What it holds, in one line.
        licence: The publisher's terms, in short. They are written to the manifest.
        files: Files that the importer needs, as patterns.
        module: The module whose `read(folder)` imports it.
    """

    title: str
    holds: str
    licence: str
    files: tuple[str, ...]
    module: str

    def read(self, folder: Path) -> "Imported":
        """Read the data set in a folder.

        Raises:
            InputError: A file is absent or breaks its format.
        """
        return replace(import_module(self.module).read(folder), licence=self.licence)


DATA_SETS = {
    "movielens": DataSet(
        "MovieLens",
        "ratings of films: 100K, 1M, 10M, 20M, 25M, 32M or latest",
        GROUPLENS,
        ("u.data, u.item, u.user (100K)", "ratings.dat, movies.dat, users.dat (1M)",
         "ratings.dat, movies.dat, tags.dat (10M)", "ratings.csv, movies.csv (20M, 25M, 32M, latest)"),
        "events.importers.movielens",
    ),
    "lastfm": DataSet(
        "Last.fm 2K",
        "tags that listeners gave to artists, and play counts (HetRec 2011)",
        LASTFM,
        ("artists.dat", "user_artists.dat", "user_taggedartists-timestamps.dat"),
        "events.importers.lastfm",
    ),
    "lastfm-1k": DataSet(
        "Last.fm 1K",
        "every track that 992 listeners played, with times",
        LASTFM,
        ("userid-timestamp-artid-artname-traid-traname.tsv", "userid-profile.tsv"),
        "events.importers.public.lastfm_1k",
    ),
    "lastfm-360k": DataSet(
        "Last.fm 360K",
        "play counts of artists by 360,000 listeners, without times",
        LASTFM,
        ("usersha1-artmbid-artname-plays.tsv", "usersha1-profile.tsv"),
        "events.importers.public.lastfm_360k",
    ),
    "amazon-reviews": DataSet(
        "Amazon Reviews 2023",
        "ratings of products and the catalogue of one or several categories, as jsonl or csv",
        "no licence is stated; to be cited (Hou et al., 2024, McAuley Lab)",
        ("CATEGORY.jsonl or CATEGORY.csv", "meta_CATEGORY.jsonl"),
        "events.importers.public.amazon_reviews",
    ),
    "million-playlist": DataSet(
        "Million Playlist Dataset",
        "playlists and their tracks (Spotify)",
        "non-commercial research only; not to be redistributed (Spotify)",
        ("mpd.slice.*.json",),
        "events.importers.public.million_playlist",
    ),
    "mind": DataSet(
        "MIND",
        "impressions and clicks of news",
        "research only (Microsoft Research License Terms)",
        ("behaviors.tsv", "news.tsv"),
        "events.importers.public.mind",
    ),
    "yoochoose": DataSet(
        "Yoochoose",
        "clicks and purchases of a shop's sessions (RecSys Challenge 2015)",
        "non-commercial use, no derivatives (CC BY-NC-ND 4.0)",
        ("yoochoose-clicks.dat", "yoochoose-buys.dat"),
        "events.importers.public.yoochoose",
    ),
    "kuairec": DataSet(
        "KuaiRec",
        "how long listeners watched short videos",
        "share alike (CC BY-SA 4.0)",
        ("big_matrix.csv",),
        "events.importers.public.kuairec",
    ),
    "retailrocket": DataSet(
        "Retailrocket",
        "views, carts and purchases of a shop's visitors",
        "non-commercial use, share alike (CC BY-NC-SA 4.0)",
        ("events.csv",),
        "events.importers.public.retailrocket",
    ),
}  # fmt: skip
