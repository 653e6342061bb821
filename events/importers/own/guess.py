"""Guess from names and values which table a file holds, and which of its columns are ours."""

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from events import canonical, schema
from events.bulk.repeats import first_repeated
from events.importers.own.columns import CONTRACT, SCHEMAS
from events.origins import RowOrigins
from events.values.written_times import DAY_AND_MONTH
from segue.errors import InputError

SAMPLE, FEW = 1000, 100  # values that a guess looks at; one by one if some are broken
KEYS = {"events": "event_id", "items": "item_id", "users": "user_id"}
# Names that logs give to our columns, in lower case without signs; the likeliest first.
SYNONYMS = {
    "event_id": ("id", "eventuuid", "uuid", "rowid"),
    "user_id": ("user", "uid", "listenerid", "listener", "accountid", "account", "customerid", "customer", "memberid",
                "member", "visitorid", "visitor", "profileid", "subscriberid", "reviewerid", "personid",
                "username"),
    "item_id": ("item", "iid", "trackid", "track", "songid", "song", "movieid", "movie", "productid", "product", "asin",
                "parentasin", "contentid", "content", "artistid", "articleid", "newsid", "videoid", "bookid", "itemno",
                "trackuri", "spotifytrackuri", "itemuri"),
    "ts": ("timestamp", "time", "datetime", "eventtime", "eventts", "eventtimestamp", "playedat", "createdat",
           "occurredat", "startedat", "unixtime", "timestampms", "date", "when", "at"),
    "session_id": ("session", "sessionno", "visitid", "sid"),
    "surface": ("page", "screen", "placement"),
    "position": ("rank", "pos", "slot"),
    "action": ("event", "eventtype", "eventname", "actiontype", "interaction", "interactiontype", "type", "behavior"),
    "ms_played": ("playedms", "msplay", "playtimems", "listenedms", "durationplayedms"),
    "query": ("searchquery", "searchterm", "searchterms"),
    "request_id": ("request", "requestuuid", "impressionid"),
    "title": ("name", "itemname", "trackname", "songname", "songtitle", "movietitle", "tracktitle", "productname"),
    "creator_id": ("artistid", "authorid", "directorid"),
    "creator": ("artist", "artistname", "author", "director", "creatorname"),
    "content_type": ("type", "kind", "mediatype"),
    "genres": ("genre", "categories", "category", "tags"),
    "language": ("lang", "locale"),
    "duration_ms": ("durationms", "lengthms", "tracklengthms"),
    "release_date": ("released", "releasedate", "releasedon", "publishedat", "publicationdate"),
    "description": ("desc", "summary", "synopsis"),
    "markets": ("countries", "availablemarkets"),
    "country": ("countrycode", "region"),
    "age_band": ("agegroup", "agerange"),
    "plan": ("subscription", "tier", "subscriptiontype"),
    "signup_ts": ("signup", "signupdate", "signupat", "registeredat", "registered", "createdat", "joinedat"),
}  # fmt: skip
OF_KEY = {"events": (), "items": ("id",), "users": ("id",)}  # a table's own `id` is its key


def plain(name: str) -> str:
    """Return a name in lower case without signs: `Session_ID` becomes `sessionid`."""
    return re.sub(r"[\W_]+", "", name).lower()


def guess_columns(table: pa.Table, name: str, taken: Mapping[str, str]) -> dict[str, str]:
    """Guess which columns of a file are columns of the contract under other names.

    A name must fit, and so must most values: times must be readable as times. If no name fits, a single column whose
    values are times, or actions, is taken.

    Args:
        table: The rows of the file.
        name: `events`, `items` or `users`.
        taken: `{ours: theirs}` that the user mapped.

    Returns:
        `{ours: theirs}`, without the columns that have our names already.
    """
    free = [column for column in table.column_names if column not in CONTRACT[name] and column not in taken.values()]
    guesses: dict[str, str] = {}
    open_ours = [ours for ours in CONTRACT[name] if ours not in table.column_names and ours not in taken]
    for ours in open_ours:
        extra = OF_KEY[name] if ours == KEYS[name] else ()
        for wanted in (plain(ours), *extra, *SYNONYMS.get(ours, ())):
            fitting = [theirs for theirs in free if plain(theirs) == wanted and fits(table[theirs], ours, name)]
            if fitting:
                guesses[ours] = fitting[0]
                free.remove(fitting[0])
                break
    for ours in ("ts", "action") if name == "events" else ():
        fitting = [theirs for theirs in free if fits(table[theirs], ours, name)]
        if ours in open_ours and ours not in guesses and len(fitting) == 1:
            guesses[ours] = fitting[0]
            free.remove(fitting[0])
    return guesses


def fits(column: pa.ChunkedArray, ours: str, name: str) -> bool:
    """Return whether most of the first values of a column can be those of a column of the contract."""
    values = column.slice(0, SAMPLE).drop_null()
    if ours == KEYS[name]:
        try:
            ids = canonical.decoded(column, SCHEMAS[name].field(ours))
            ids = ids if pa.types.is_integer(ids.type) else ids.cast(pa.string())
        except pa.ArrowException:  # lists and structures are no ids
            return False
        return ids.null_count == 0 and first_repeated(ids) is None
    if ours == "action":
        try:
            texts = {value.strip().casefold() for value in values.cast(pa.string()).to_pylist()}
        except pa.ArrowException:
            return False
        return bool(texts & set(schema.ACTIONS)) or (
            bool(texts) and len(texts) <= len(schema.ACTIONS) * 2 < len(values)
        )
    field = pa.field(ours, pa.float64()) if ours in schema.LABEL_COLUMNS else SCHEMAS[name].field(ours)
    if readable(values, field):
        return True
    text = pa.types.is_string(values.type)
    if ours == "ts" and text and pc.all(pc.match_substring_regex(values, DAY_AND_MONTH), min_count=1).as_py():
        return True  # whether the day or the month is first may be undecided, which the import says
    values = values.slice(0, FEW)  # a few broken values do not make another column of it
    single = [readable(values.slice(position, 1), field) for position in range(len(values))]
    return sum(single) * 2 > len(single)


def readable(values: pa.ChunkedArray, field: pa.Field) -> bool:
    """Return whether values can be read as the type of a column, and times as times after `schema.EARLIEST`."""
    if len(values) == 0:
        return False
    try:
        cast = canonical.cast(values, field, RowOrigins.of(field.name, len(values)))
    except InputError:
        return False
    if pa.types.is_timestamp(field.type):
        return pc.all(pc.greater_equal(cast, pa.scalar(schema.EARLIEST, field.type))).as_py() is True  # not null
    return True


def guess_table(files: Mapping[str, pa.Table], taken: Mapping[str, str]) -> dict[str, str]:
    """Guess which table each file holds: the events know listeners and items, the items have titles.

    Args:
        files: First rows of each file, by its name.
        taken: `{ours: theirs}` that the user mapped.

    Raises:
        InputError: A file looks like none of the tables, or none like the events.
    """
    tables = {}
    for file, rows in files.items():
        has = {name: columns_known(rows, name, taken) for name in CONTRACT}
        if {"user_id", "item_id"} <= has["events"]:
            tables[file] = "events"
        elif {"item_id", "title"} <= has["items"]:
            tables[file] = "items"
        elif "user_id" in has["users"]:
            tables[file] = "users"
        elif "item_id" in has["items"]:
            tables[file] = "items"
        else:
            raise InputError(
                f"{file} looks like none of events, items and users. It has: {', '.join(rows.column_names)}.",
                "Name its columns with `--map`, such as `--map user_id=NAME --map item_id=NAME`.",
            )
    if "events" not in tables.values():
        raise InputError(
            f"A log has events, with a listener and an item in each row; none of {', '.join(files)} looks so.",
            "Name the columns with `--map`, such as `--map user_id=NAME --map item_id=NAME`.",
        )
    return tables


def columns_known(rows: pa.Table, name: str, taken: Mapping[str, str]) -> set[str]:
    """Return the columns of the contract that a file has, by its own name, by the user's mapping or by a guess."""
    own = {column for column in rows.column_names if column in CONTRACT[name]}
    mapped = {ours for ours, theirs in taken.items() if theirs in rows.column_names}
    return own | mapped | set(guess_columns(rows, name, taken))


def unmatched(table_columns: Sequence[str], name: str, mapped: Mapping[str, str]) -> list[str]:
    """Return the columns of a file that are none of the contract; an import keeps them as they are."""
    return [c for c in table_columns if c not in CONTRACT[name] and c not in mapped.values()]
