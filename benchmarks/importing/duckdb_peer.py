"""The DuckDB peer of `segue bench import`: the checks of an import in SQL, and the log by day with COPY … PARTITION_BY.

It is written as DuckDB's guides write it: the files are read once into a table of a database on disk, with declared
types; the checks are one aggregate and one GROUP BY; a CASE gives each row the first rule that it breaks. DuckDB's own
memory limit is left at its default, 80 % of the machine.
"""

import sys
from pathlib import Path

import duckdb

TYPES = {
    "event_id": "VARCHAR", "user_id": "VARCHAR", "item_id": "VARCHAR", "ts": "TIMESTAMP", "action": "VARCHAR",
    "ms_played": "BIGINT", "session_id": "VARCHAR", "surface": "VARCHAR", "position": "INTEGER",
    "request_id": "VARCHAR",
}  # fmt: skip
REASON = """
    case
        when action is null or action not in ('impression', 'play', 'skip', 'like', 'add') then 'unknown action'
        when surface not in ('home', 'now_playing', 'search', 'library') then 'unknown surface'
        when item_id not in (select item_id from items) then 'unknown item'
        when ms_played < 0 then 'negative ms_played'
        when position < 0 then 'negative position'
    end
"""
TABLE_RULES = """
    select count(*) filter (where event_id is null or user_id is null or item_id is null or ts is null),
        count(*) filter (where ts < '1990-01-01' or ts > '2100-01-01')
    from log
"""
REPEATED = "select event_id from log group by event_id having count(*) > 1 limit 1"
STORE = """
    copy (select * exclude (reason), strftime(ts, '%Y-%m-%d') as day from checked where reason is null
        order by ts, event_id)
    to '{events}' (format parquet, compression zstd, partition_by (day))
"""


def main(log: Path, items: Path, out: Path) -> None:
    """Import the log and its items into the folder `out`.

    Raises:
        ValueError: The log breaks a rule about the whole table.
    """
    out.mkdir(parents=True)
    with duckdb.connect(str(out / "work.duckdb")) as connection:
        connection.execute("set enable_progress_bar = false")
        connection.execute(f"create table items as from read_parquet('{items}')")
        source = f"read_parquet('{log}')" if log.suffix == ".parquet" else f"read_csv('{log}', columns = {TYPES})"
        casts = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in TYPES.items())
        connection.execute(f"create table log as select {casts} from {source}")
        ((nulls, outside),) = connection.execute(TABLE_RULES).fetchall()
        repeated = connection.execute(REPEATED).fetchall()
        if nulls or outside or repeated:
            raise ValueError(f"{nulls} nulls, {outside} times outside the range, repeated: {repeated}")
        connection.execute(f"create view checked as select *, {REASON} as reason from log")
        quarantine = "select * from checked where reason is not null"
        connection.execute(f"copy ({quarantine}) to '{out / 'quarantine.parquet'}' (format parquet)")
        connection.execute(f"copy items to '{out / 'items.parquet'}' (format parquet)")
        connection.execute(STORE.format(events=out / "events"))
    (out / "work.duckdb").unlink()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
