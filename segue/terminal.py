"""Text for a terminal or a page: data is shown, and never obeyed."""

import re
import sys

import click

# Control characters, line and paragraph separators, bidi embeddings, overrides and isolates, and the surrogates that
# stand for bytes that are not UTF-8. Joiners and direction marks stay, because scripts and emoji are written with them.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Show the characters that a terminal or a page would obey as escapes: ESC becomes `\\x1b`, a line feed `\\n`."""
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)


def say(text: str, err: bool = False, fg: str | None = None) -> None:
    """Print one line on stdout, or on stderr, with the data in it visible."""
    # click writes UTF-8 to a terminal of fewer characters unless it is given the stream.
    click.secho(visible(text), file=sys.stderr if err else sys.stdout, fg=fg)
