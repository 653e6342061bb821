"""The hand-made tables and the checkerboard's models of `tests/models`."""

from tests.models.conftest import (
    make_catalogue,
    make_table,
    saved_ranking,
    saved_retrieval,
    saved_sequence,
    trained_ranking,
    trained_retrieval,
    trained_sequence,
    world,
)

__all__ = [
    "make_catalogue",
    "make_table",
    "saved_ranking",
    "saved_retrieval",
    "saved_sequence",
    "trained_ranking",
    "trained_retrieval",
    "trained_sequence",
    "world",
]
