"""The gateway's API as an OpenAPI document, which `docs/openapi.json` keeps: `python -m surfaces.gateway.openapi`."""

import json
import sys

from surfaces.gateway.app import application


def document() -> str:
    """The OpenAPI document as text."""
    return json.dumps(application().openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
