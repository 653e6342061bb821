"""Give the columns of a text file the types that Arrow's CSV reader would infer from the whole column."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from events.bulk.batches import batches, in_parallel
from events.bulk.spool import Spool

# In Arrow's order: a column has the first type that all its values can have.
KINDS = (
    pa.null(), pa.int64(), pa.bool_(), pa.date32(), pa.time32("s"), pa.timestamp("s"), pa.timestamp("ns"),
    pa.timestamp("s", "UTC"), pa.timestamp("ns", "UTC"), pa.float64(),
)  # fmt: skip


def with_types(tables: Sequence[pa.Table], text: Sequence[str]) -> list[pa.Table]:
    """Return tables of text with numbers, dates and times in the columns that hold nothing else.

    Args:
        tables: Tables whose columns are all text.
        text: Names of the columns that stay text.
    """
    spool, kinds = Spool(), []
    for table in tables:
        found = {name: kind_of(table[name]) for name in set(table.column_names) - set(text)}
        kinds.append({name: kind for name, kind in found.items() if kind != pa.string()})
        fields = pa.schema([(name, kind) for name, kind in kinds[-1].items()])

        def convert(batch: pa.RecordBatch, fields: pa.Schema = fields) -> pa.RecordBatch:
            return pa.record_batch([parsed(batch[field.name], field.type) for field in fields], schema=fields)

        spool.add(fields, in_parallel(convert, batches(table.select(fields.names)) if len(fields) else ()))
    typed = []
    for table, values in zip(tables, spool.tables(), strict=True):
        columns = [values[name] if name in values.column_names else table[name] for name in table.column_names]
        typed.append(pa.table(columns, names=table.column_names))
    return typed


def kind_of(column: pa.ChunkedArray) -> pa.DataType:
    """Return the first of `KINDS` that all values of a column of text can have, else text."""
    sample = column.slice(0, 1000)
    for kind in KINDS:
        if all(can_be(chunk, kind) for chunk in (*sample.chunks, *column.chunks)):
            return kind
    return pa.string()


def can_be(texts: pa.Array, kind: pa.DataType) -> bool:
    """Return whether all texts can be read as a type."""
    try:
        return len(parsed(texts, kind)) == len(texts)  # a text may have several lines
    except pa.ArrowInvalid:
        return False


def parsed(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return texts as Arrow's CSV reader reads them into a type.

    Raises:
        pyarrow.ArrowInvalid: A text cannot have the type.
    """
    if not len(texts):  # for Arrow an error
        return pa.array([], kind)
    lines = pa.concat_arrays([pc.binary_join_element_wise(texts.fill_null(""), "\n", "")])  # without an offset
    content = lines.buffers()[2]
    column = pacsv.read_csv(
        pa.BufferReader(content),
        read_options=pacsv.ReadOptions(column_names=["text"], use_threads=False, block_size=len(content) + 1),
        parse_options=pacsv.ParseOptions(delimiter="\x1f", quote_char=False, ignore_empty_lines=False),
        convert_options=pacsv.ConvertOptions(column_types={"text": kind}, null_values=[""], strings_can_be_null=True),
    )["text"]
    return column.chunk(0)
