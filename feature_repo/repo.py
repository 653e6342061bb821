"""The objects that the `feast` command line registers: the definitions over the home that SEGUE_HOME names."""

from feature_repo.definitions import define
from segue.settings import Home

_definitions = define(str(Home.from_env().features / "tables"))

user, item, session = _definitions.entities
user_profile, user_daily, user_history, session_context, item_profile, item_daily = _definitions.views
request_features = _definitions.on_demand
retrieval, ranking = _definitions.services
