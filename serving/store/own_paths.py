"""Serve the project's own model store from where it is, also after its folder was copied or moved.

TF Serving wants absolute base paths, so `models.config` holds those of the place where it was written.
"""

from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2 as config_pb2

from serving.protocol import config_files
from serving.store.versions import CHECKSUMS


def read_config(path: Path, purpose: str) -> str:
    """Return the text of a model config file; a store's own file has the base paths of where the store is now.

    Args:
        path: the file.
        purpose: the file's purpose, for errors.

    Raises:
        InputError: the file cannot be read.
    """
    return relocated(config_files.read_text(path, purpose), Path(path).resolve().parent)


def relocated(text: str, store: Path) -> str:
    """Return the text of a model config file with the base paths of a store that is in the folder `store`.

    A base path belongs to the store if it ends in the model's name, and the folder of that name in the store has a
    version that a push wrote. All others stay as they are, and so does a text that does not parse.
    """
    message = config_pb2.ModelServerConfig()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError:
        return text
    moved = False
    for entry in message.model_config_list.config:
        here = store / entry.name
        written = Path(entry.base_path)
        if entry.name and written.name == entry.name and written != here and any(here.glob(f"*/{CHECKSUMS}")):
            entry.base_path, moved = str(here), True
    return text_format.MessageToString(message) if moved else text
