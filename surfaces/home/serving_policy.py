"""The layout policy that serves, from the folder of a home."""

from segue.files import read_json
from segue.settings import Home
from surfaces.home.layout import LayoutPolicy


def serving_policy(home: Home) -> LayoutPolicy:
    """The layout policy that serves; the one before learning if none was pushed.

    Raises:
        InputError: the file of the policy breaks a rule.
    """
    path = home.layout_policy
    return LayoutPolicy.from_dict(read_json(path)) if path.is_file() else LayoutPolicy()
