"""The log that `segue bench import` imports: a collector's events, as Parquet, CSV and CSV.gz, and their catalogue.

Events arrive up to an hour late, so the files are nearly in the order of time. Of 1,000 events one has an unknown
action, one a negative `ms_played` and one an item that the catalogue does not have: these rows must be set aside.
"""

import gzip
import shutil
import sys
from pathlib import Path

import duckdb

LISTENERS, ITEMS, DAYS = 100_000, 50_000, 180
FORMATS = {"parquet": "log.parquet", "csv": "log.csv", "csv.gz": "log.csv.gz"}
CATALOGUE = "items.parquet"

# `chance` are independent numbers in [0, 1) of each row. Squares make few listeners and items frequent.
EVENTS = f"""
    with rows as (
        select i, list_transform(range(8), lambda salt: hash(i, salt, $seed) / 2.0**64) as chance
        from range($events) r(i)
    )
    select
        md5(concat($seed, '-', i)) as event_id,
        format('u{{:06d}}', cast(floor(chance[1]**2 * {LISTENERS}) as integer)) as user_id,
        format('i{{:05d}}', cast(floor(chance[2]**2 * {ITEMS}) as integer)
            + case when i % 1000 = 7 then {ITEMS} else 0 end) as item_id,
        timestamp '2026-01-01' + to_microseconds(1000 * cast(
            i / $events * {DAYS * 86_400_000 - 3_600_000} + chance[3] * 3_600_000 as bigint)) as ts,
        case when i % 1000 = 107 then 'buffering'
            else ['play', 'play', 'play', 'skip', 'like', 'add'][1 + cast(floor(chance[4] * 6) as integer)]
            end as action,
        case when i % 1000 = 207 then -1 else cast(floor(chance[5] * 300_000) as bigint) end as ms_played,
        format('s{{:07d}}', cast(floor(chance[6] * $events / 12) as integer)) as session_id,
        ['home', 'now_playing', 'search', 'library'][1 + cast(floor(chance[7] * 4) as integer)] as surface,
        case when chance[8] < 0.5 then cast(floor(chance[8] * 40) as integer) end as position,
        format('r{{:08d}}', i // 3) as request_id
    from rows
"""
ITEM_ROWS = f"""
    select format('i{{:05d}}', i) as item_id, format('Title {{:05d}}', i) as title, 'music' as content_type,
        180_000 + 1000 * (i % 120) as duration_ms
    from range({ITEMS}) r(i)
"""


def write(folder: Path, events: int, seed: int = 0) -> None:
    """Write the log in each format, and the catalogue, into a folder."""
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        table = connection.sql(EVENTS, params={"seed": seed, "events": events})
        table.write_parquet(str(folder / FORMATS["parquet"]), compression="zstd")
        connection.sql(ITEM_ROWS).write_parquet(str(folder / CATALOGUE))
        connection.read_parquet(str(folder / FORMATS["parquet"])).write_csv(str(folder / FORMATS["csv"]))
    with (folder / FORMATS["csv"]).open("rb") as text, gzip.open(folder / FORMATS["csv.gz"], "wb", 1) as compressed:
        shutil.copyfileobj(text, compressed, 2**20)


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
