"""The names of the features that models read, as training sets and signatures have them. Imports no TensorFlow."""

AGE = "age_at_request_days"
UNKNOWN_AGE = -1.0
ITEM_STRINGS = ("item_id", "creator_id", "content_type", "language")
HISTORY = 50  # entries of a history, as many as the feature store holds
USER_STRINGS = ("country", "age_band", "plan")
USER_COUNTS = ("user_plays_7d", "user_plays_28d")
USER_RATES = ("user_skip_rate_7d", "user_skip_rate_28d")
USER_VECTORS = ("genre_shares", "content_type_shares")
SESSION_COUNTS = ("session_plays", "session_skips")
ITEM_COUNTS = ("item_plays_7d", "item_plays_28d")
ITEM_RATES = ("item_skip_rate_28d", "item_like_rate_28d", "item_trend")
ITEM_STATS = (*ITEM_COUNTS, *ITEM_RATES, AGE)  # the features of an item that change from day to day
AGE_COLUMNS = -2  # encoded statistics end with two columns of the age: `stats[..., AGE_COLUMNS:]`
REQUEST = ("genre_affinity", AGE)  # the features of a listener and an item together
# The arrays of an encoded query, the same for all candidates of a request.
QUERY_INPUTS = ("history", "history_action", "history_age", "user_ids", "user_dense", "surface", "session", "clock")

QUERY_STRINGS = (*USER_STRINGS, "surface")
QUERY_NUMBERS = (*USER_COUNTS, *USER_RATES, *SESSION_COUNTS)
# The inputs of the sequence model's signatures that describe a listener.
HISTORY_INPUTS = ("history_items", "history_actions", "history_times", "request_ts", "surface")
