"""Why a source proposes an item, in words that follow "This item ..."."""

REASONS = {
    "retrieval": "fits the taste of the last plays",
    "sequence": "often follows what just played",
    "next": "often follows what just played",
    "new_releases": "came out in the last two weeks",
    "cross_content": "is of a type that is seldom played, and fits the taste",
    "because_you_listened": "is played by the listeners of what was just played",
    "jump_back_in": "was played lately",
    "popular": "is played by many in the market",
    "chips": "fits the chosen wishes",
    "promised": "was in the queue already",
}
NEW_LISTENER_REASONS = {**REASONS, "retrieval": "suits the place and the hour", "sequence": "is often played first"}
EXPLORED = "few have played it yet"
