"""How listeners look at a page of rows, drawn and as exact probabilities.

A listener looks at the rows from the top and at each row from the left. The model is the cascade of Deezer's carousels
(Bendada, Salha and Bontempelli, "Carousel Personalization in Music Streaming Apps with Contextual Bandits", 2020): the
first columns are on the screen, later ones need a swipe, and a play often ends the look at a row and at the page.
The first item of a page is always looked at.
"""

from dataclasses import dataclass

import numpy as np

VISIBLE = 3  # columns that a row shows without a swipe


@dataclass(frozen=True)
class Attention:
    """The probabilities of looking on, one for each of `schema.SURFACES`.

    Args:
        stay: Of looking at the next column on the screen.
        swipe: Of looking at the next column behind the edge of the screen.
        stay_after_play: Factor of both after a play.
        next_row: Of looking at the next row if nothing in this one was played.
        next_row_after_play: Of the same if something was played.
    """

    stay: np.ndarray
    swipe: np.ndarray
    stay_after_play: np.ndarray
    next_row: np.ndarray
    next_row_after_play: np.ndarray

    def column_chance(self, surface: np.ndarray, column: np.ndarray, played: np.ndarray) -> np.ndarray:
        """Return the probability of looking at the column after `column` (from 1), all `[n]`."""
        chance = np.where(column < VISIBLE, self.stay[surface], self.swipe[surface])
        return chance * np.where(played, self.stay_after_play[surface], 1.0)

    def row_chance(self, surface: np.ndarray, played: np.ndarray) -> np.ndarray:
        """Return the probability of looking at the next row, all `[n]`. `played`: something in this row was played."""
        return np.where(played, self.next_row_after_play[surface], self.next_row[surface])


# In the order home, now_playing, search, library. Now Playing is one row that plays on by itself; the lists of search
# and library are rows of one column.
ATTENTION = Attention(
    stay=np.array([0.92, 0.96, 1.0, 1.0]),
    swipe=np.array([0.6, 0.93, 1.0, 1.0]),
    stay_after_play=np.array([0.6, 0.96, 1.0, 1.0]),
    next_row=np.array([0.82, 0.5, 0.8, 0.85]),
    next_row_after_play=np.array([0.6, 0.3, 0.35, 0.5]),
)


def draw(
    surface: np.ndarray, column: np.ndarray, shown: np.ndarray, would_play: np.ndarray, draws: np.ndarray
) -> np.ndarray:
    """Return which slots the listeners look at `[pages, slots]`.

    Args:
        surface: Surface of each page `[pages]`.
        column: Column of each slot, from 1; column 1 begins a row `[pages, slots]`.
        shown: Whether there is an item in the slot; empty slots come last `[pages, slots]`.
        would_play: Whether the listener plays the item if they look at it `[pages, slots]`.
        draws: Uniform random numbers: of the look at the slot's row, and of the look at the slot itself
            `[pages, slots, 2]`.
    """
    pages, slots = column.shape
    looked = np.zeros((pages, slots), bool)
    at_page, in_row, played = np.ones(pages, bool), np.zeros(pages, bool), np.zeros(pages, bool)
    for slot in range(slots):
        begins = column[:, slot] == 1
        if slot:
            goes_on = draws[:, slot, 0] < ATTENTION.row_chance(surface, played)
            at_page &= ~begins | goes_on
            last_played = looked[:, slot - 1] & would_play[:, slot - 1]
            in_row &= draws[:, slot, 1] < ATTENTION.column_chance(surface, column[:, slot - 1], last_played)
        in_row = np.where(begins, at_page, in_row)
        looked[:, slot] = in_row & shown[:, slot]
        played = (played & ~begins) | (looked[:, slot] & would_play[:, slot])
    return looked


def chances(surface: np.ndarray, column: np.ndarray, shown: np.ndarray, play: np.ndarray) -> np.ndarray:
    """Return the probability that the listeners look at each slot `[pages, slots]`, exactly.

    The recursion carries the probability of being at a slot with and without a play in its row so far, because a play
    changes the chance of the next row. Rows are independent once their probability of being looked at is known.

    Args:
        surface, column, shown: As for `draw`.
        play: Probability that the item is played if it is looked at `[pages, slots]`.
    """
    pages, slots = column.shape
    reached = np.zeros((pages, slots))
    true, false = np.ones(pages, bool), np.zeros(pages, bool)
    row = np.ones(pages)  # probability of looking at the row
    fresh, after_play = np.zeros(pages), np.zeros(pages)  # of being at the slot, without and with a play in the row
    first_play = np.zeros(pages)  # probability of a play in the row, given that the row is looked at
    for slot in range(slots):
        begins = column[:, slot] == 1
        if slot:
            before, chance = column[:, slot - 1], play[:, slot - 1]
            idle = (1 - chance) * ATTENTION.column_chance(surface, before, false)
            active = chance * ATTENTION.column_chance(surface, before, true)
            fresh, after_play = fresh * idle, after_play * (idle + active) + fresh * active
            next_row = first_play * ATTENTION.row_chance(surface, true)
            next_row += (1 - first_play) * ATTENTION.row_chance(surface, false)
            row = np.where(begins, row * next_row, row)
        fresh, after_play = np.where(begins, 1.0, fresh), np.where(begins, 0.0, after_play)
        first_play = np.where(begins, 0.0, first_play) + fresh * play[:, slot] * shown[:, slot]
        reached[:, slot] = row * (fresh + after_play) * shown[:, slot]
    return reached
