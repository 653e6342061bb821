"""Tell the encoding of a text file from its content, and read the file as UTF-8, a block at a time."""

import codecs
import io
from collections.abc import Iterator

from events.bulk.text_bytes import occurrences
from events.importers.own.formats import FIX, Source
from segue.errors import InputError

SAMPLE = 65_536  # bytes that UTF-16 without a mark is told from
SHOWN = 60  # characters of a line that an error shows
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
OF_SEVERAL_BYTES = ("utf-16", "utf-32")  # for each character, so some bytes are zero


def encoding_of(source: Source, fallback: str | None = None) -> str:
    """Return the encoding of a text file.

    A byte order mark or the zero bytes of UTF-16 say the encoding; all other files are UTF-8 if they can be.

    Args:
        source: The file.
        fallback: Encoding of a file that is none of these.

    Raises:
        InputError: There is no such encoding.
    """
    head = source.head(SAMPLE)
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if head.startswith(mark)), None)
    encoding = encoding or utf_16_by_zeros(head) or "utf-8"
    if encoding != "utf-8" or not fallback or is_utf_8(source):
        return encoding
    try:
        io.TextIOWrapper(io.BytesIO(), fallback)
    except (LookupError, ValueError):
        raise unknown(fallback) from None
    return fallback


def utf_16_by_zeros(sample: bytes) -> str | None:
    """Return the UTF-16 encoding of a sample without a byte order mark, or None if it is not UTF-16.

    In UTF-16 one byte of each letter of the Latin alphabet is zero, always the first or always the second. Few other
    letters have a zero in the other place.
    """
    first, second = sample[0::2].count(0), sample[1::2].count(0)
    if min(first, second) * 4 > max(first, second) or (first + second) * 4 < len(sample) // 2:
        return None
    return "utf-16-be" if first > second else "utf-16-le" if second else None


def is_utf_8(source: Source) -> bool:
    """Return whether a file is UTF-8 to its end."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in source.blocks():
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def utf_8_blocks(source: Source, name: str, encoding: str, given: bool) -> Iterator[bytes]:
    """Yield a text file in UTF-8, in blocks that end with a line.

    Args:
        source: The file.
        name: Name of the file, for errors.
        encoding: Its encoding.
        given: Whether the caller named the encoding, because the file is not UTF-8.

    Raises:
        InputError: The content has a zero byte, or a byte that does not fit the encoding. Unless the encoding is
            given, the error then shows the line as Windows-1252, which it often is.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    rows = rows_decoded = 0  # a block of UTF-16 may end within the character of a line's end
    for block, last in whole_lines(source.blocks()):
        content = block
        if encoding != "utf-8" or not block.isascii():
            try:
                text = decoder.decode(block, last)
                content = block if encoding == "utf-8" else text.encode()
            except UnicodeDecodeError as error:
                if not encoding.startswith(OF_SEVERAL_BYTES):
                    refuse_zero_bytes(block, name, rows)
                raise undecodable(error, block, name, encoding, rows, given) from None
            except ValueError:  # an encoding of other things than files, such as `idna`
                raise unknown(encoding) from None
        refuse_zero_bytes(content, name, rows_decoded)
        yield content
        ends = occurrences(block, b"\n")
        rows += ends
        rows_decoded += ends if content is block else occurrences(content, b"\n")


def whole_lines(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield blocks that end with a line, and whether each is the last."""
    left = b""
    for block in blocks:
        end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        if end:
            yield b"".join((left, memoryview(block)[:end])), False
            left = block[end:]
        else:
            left += block
    yield left, True


def refuse_zero_bytes(content: bytes, name: str, rows: int) -> None:
    """Raise InputError if a text has a zero byte; one in the first line shows that the file is no text.

    Args:
        content: The text, from the beginning of a line.
        name: Name of the file.
        rows: Number of rows before the text.
    """
    if 0 not in content:
        return
    row = rows + content.count(b"\n", 0, content.index(0)) + 1
    if row == 1:
        raise InputError(f"Logs are read from Parquet or CSV; {name} is a binary file.", FIX)
    raise InputError(
        f"{name}, row {row}: text has no zero bytes; a file that was not closed may have them.",
        "Remove the byte, or export the file again.",
    )


def undecodable(
    error: UnicodeDecodeError, block: bytes, name: str, encoding: str, rows: int, given: bool
) -> InputError:
    """Return the error about a byte that does not fit the encoding.

    Args:
        error: What the decoder said of the block, perhaps with some bytes before it.
        block: The block, from the beginning of a line.
        name: Name of the file.
        encoding: The encoding.
        rows: Number of rows before the block.
        given: Whether the caller named the encoding.
    """
    at = max(0, error.start - (len(error.object) - len(block)))
    begin = block.rfind(b"\n", 0, at) + 1
    row = rows + block.count(b"\n", 0, begin) + 1
    byte = f"{name}, row {row}: the byte 0x{error.object[error.start]:02x} is"
    if given:
        return InputError(
            f"{byte} neither UTF-8 nor {encoding}.",
            "Name the right encoding with `--encoding`, or save the file as UTF-8.",
        )
    line = block[begin : begin + 10_000].split(b"\n")[0].strip()
    around = line[max(0, at - begin - SHOWN // 2) :][:SHOWN].decode("cp1252", "replace")
    return InputError(
        f"{byte} not {encoding.upper()}. As Windows-1252 the row reads {around!r}.",
        "If that is right, add `--encoding cp1252`; else name another encoding, or save the file as UTF-8.",
    )


def unknown(encoding: str) -> InputError:
    """Return the error about an encoding that Python does not have for files."""
    return InputError(f"There is no encoding {encoding!r}.", "Use a name such as cp1252, latin-1, cp1250 or shift_jis.")
