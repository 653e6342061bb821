"""Import Amazon Reviews 2023 (McAuley Lab): ratings of products, and the catalogue.

Reviews are `CATEGORY.jsonl`, or `CATEGORY.csv` with the ratings alone; the catalogue is `meta_CATEGORY.jsonl`. Each may
be compressed (`.gz`), and a folder may hold several categories.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from events import canonical, schema
from events.imported import Imported
from events.importers import json_files, ratings, text_files
from events.importers.public import folders, logs
from events.importers.registry import DATA_SETS, DataSet
from events.origins import RowOrigins
from segue.errors import InputError

META = "meta_"
REVIEW = {"user_id": "VARCHAR", "parent_asin": "VARCHAR", "rating": "DOUBLE", "timestamp": "BIGINT"}
PRODUCT = {
    "parent_asin": "VARCHAR", "title": "VARCHAR", "store": "VARCHAR", "main_category": "VARCHAR",
    "categories": "VARCHAR[]", "description": "VARCHAR[]",
}  # fmt: skip
MAPPING = (
    *ratings.MAPPING,
    "the other labels are unknown",
    "parent_asin -> item_id: the variants of a product are one item",
    "timestamp, in unix milliseconds -> ts",
    "store -> creator; categories, or else main_category -> genres; description -> description",
    "average_rating and rating_number are not read: they know the later ratings",
    "review texts, images and votes are not read",
    logs.SESSION_RULE,
)


def read(folder: Path) -> Imported:
    """Read the reviews and the catalogue of all categories in a folder.

    Raises:
        InputError: There are no reviews or no catalogue, a category is there twice, or a file breaks its format.
    """
    reviews, catalogue = find(folder, DATA_SETS["amazon-reviews"])
    rows, origins = logs.concat([read_reviews(path) for path in reviews])
    rating = canonical.cast_required(rows["rating"], ratings.RATING, origins)
    events = {
        "event_id": logs.event_ids("az", rows["user_id"], rows["item_id"], rows["ts"].cast(pa.int64())),
        "user_id": rows["user_id"],
        "item_id": rows["item_id"],
        "ts": rows["ts"],
        "session_id": logs.session_ids(rows["user_id"], rows["ts"]),
        **ratings.actions_and_labels(rating),
    }
    products, product_origins = logs.concat([json_files.read(path, PRODUCT) for path in catalogue])
    items, first = logs.first_rows(products, "parent_asin")
    listed = product_table(items)
    absent = pc.invert(pc.is_in(rows["item_id"], listed["item_id"].combine_chunks()))
    unlisted = logs.items_of_ids(rows["item_id"].filter(absent), "product")
    none = RowOrigins.of("reviews", unlisted.num_rows)
    return Imported(
        dataset="amazon-reviews-2023",
        items=pa.concat_tables([listed, unlisted], promote_options="default"),
        users=logs.distinct_users(rows["user_id"]),
        events=pa.table(events),
        mapping=(*MAPPING, f"products without metadata -> the title is the id ({unlisted.num_rows} products)"),
        origins={"events": origins, "items": RowOrigins.concat([product_origins.take(first), none])},
    )


def find(folder: Path, data_set: DataSet) -> tuple[list[Path], list[Path]]:
    """Return the files of reviews and of the catalogue."""
    folders.require_folder(folder)
    lines = [path for end in (".jsonl", ".jsonl.gz") for path in folders.matches(folder, f"*{end}")]
    catalogue = [path for path in lines if path.name.startswith(META)]
    reviews = [path for path in lines if not path.name.startswith(META)]
    reviews += [path for end in (".csv", ".csv.gz") for path in folders.matches(folder, f"*{end}")]
    missing = [name for name, paths in zip(data_set.files, (reviews, catalogue), strict=True) if not paths]
    if missing:
        raise folders.not_found(folder, data_set, missing)
    for paths in (reviews, catalogue):
        by_category: dict[str, Path] = {}
        for path in paths:
            other = by_category.setdefault(path.name.partition(".")[0], path)
            if other is not path:
                raise InputError(
                    f"{other.name} and {path.name} hold the same category.", "Leave one of them in the folder."
                )
    return sorted(reviews), sorted(catalogue)


def read_reviews(path: Path) -> tuple[pa.Table, RowOrigins]:
    """Read one file of reviews: `user_id, item_id, rating, ts`."""
    if ".csv" in path.suffixes:
        rows, origins = text_files.read(path, needed=tuple(REVIEW))
        rows = rows.select(list(REVIEW))
    else:
        rows, origins = json_files.read(path, REVIEW)
    rows = rows.rename_columns(["user_id", "item_id", "rating", "ts"])
    rating = canonical.cast_required(rows["rating"], ratings.RATING, origins)
    ts = canonical.cast_required(rows["ts"], schema.EVENTS.field("ts"), origins)
    return rows.set_column(2, "rating", rating).set_column(3, "ts", ts), origins


def product_table(products: pa.Table) -> pa.Table:
    """Return the items of the catalogue. A product without a title gets its id as the title."""
    rows = products.select(["main_category", "categories", "description"]).to_pylist()
    untitled = pc.equal(products["title"], "").fill_null(True)
    genres = [row["categories"] or [row["main_category"]] for row in rows]
    return pa.table({
        "item_id": products["parent_asin"],
        "title": pc.if_else(untitled, products["parent_asin"], products["title"]),
        "creator": products["store"],
        "content_type": pa.array(["product"] * products.num_rows),
        "genres": pa.array([[name for name in names if name] for names in genres], pa.list_(pa.string())),
        "description": pa.array(["\n".join(row["description"] or []) or None for row in rows], pa.string()),
    })  # fmt: skip
