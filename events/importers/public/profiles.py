"""Read the listeners' profiles of Last.fm 1K and 360K: id, gender, age, country and day of registration."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events.importers.movielens import AGE_BANDS, AGE_ENDS

COLUMNS = ("user_id", "gender", "age", "country", "signup_ts")
OLDEST = 120  # the profiles hold ages such as -1337 and 1002
MAPPING = (
    f"ages of 1 to {OLDEST} -> age_band; other ages are unknown",
    "registered, such as `Apr 28, 2008` -> signup_ts; any other text is unknown",
    "gender is not read",
)


def users(profiles: pa.Table) -> pa.Table:
    """Return the table of users. An age or a day that cannot be is unknown.

    Args:
        profiles: Text, with the columns `COLUMNS`.
    """
    is_number = pc.match_substring_regex(profiles["age"], r"^\d{1,3}$")
    ages = pc.if_else(is_number, profiles["age"], None).cast(pa.int64()).to_pylist()
    bands = [AGE_BANDS[np.searchsorted(AGE_ENDS, age, "right")] if age and age <= OLDEST else None for age in ages]
    days = pc.strptime(profiles["signup_ts"], format="%b %d, %Y", unit="us", error_is_null=True)
    return pa.table({
        "user_id": profiles["user_id"],
        "country": profiles["country"],
        "age_band": pa.array(bands, pa.string()),
        "signup_ts": pc.assume_timezone(days, "UTC"),
    })  # fmt: skip
