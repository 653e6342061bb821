"""Put a unit into one of 10,000 buckets: the same bucket in Python, in DuckDB and in any other language.

The bucket is the number in the first 13 hexadecimal digits of SHA-256 of `salt:unit` in UTF-8, modulo 10,000. 13 digits
are 52 bits: they fit into a double, so that JavaScript counts the same, and the remainder is even to 2e-12.
"""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.types as ir

BUCKETS = 10_000
DIGITS = 13


def bucket(salt: str, unit: str) -> int:
    """Return the bucket of a unit, 0 to 9,999. A salt holds no colon, so no two pairs hash the same text."""
    return int(hashlib.sha256(f"{salt}:{unit}".encode()).hexdigest()[:DIGITS], 16) % BUCKETS


def bucket_column(salt: str, units: "ir.StringValue") -> "ir.IntegerValue":
    """Return `bucket` as an Ibis expression over a column of units, for DuckDB."""
    import ibis

    @ibis.udf.scalar.builtin
    def sha256(text: str) -> str:  # type: ignore[empty-body]
        """DuckDB's SHA-256 in lower-case hexadecimal digits."""

    digits = sha256(ibis.literal(f"{salt}:") + units).substr(0, DIGITS)
    return (ibis.literal("0x") + digits).cast("int64") % BUCKETS
