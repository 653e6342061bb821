"""A bucket of an S3 server: put, get, list and delete objects, with time-outs and errors that name the server.

A call ends within 15 seconds without an answer: each of two attempts waits 3 seconds for the connection and 5 seconds
for the next byte. boto3 is imported at the first call. It reads the credentials: AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY, the file that AWS_SHARED_CREDENTIALS_FILE names, or the role of a pod.
"""

import base64
import contextlib
import functools
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from segue import files
from segue.errors import InputError, SegueError
from stores import folders, s3_errors
from stores.parallel import THREADS, in_parallel
from stores.settings import Settings

CONNECT_SECONDS = 3
READ_SECONDS = 5
ATTEMPTS = 2
MAX_OBJECT_BYTES = 5 * 2**30  # of one put request in S3
MAX_KEY_BYTES = 1024
MAX_DELETED_KEYS = 1000  # in one request
CHUNK_BYTES = 2**20
# The second code answers a conditional put while another one for the same key is under way.
TAKEN = {"PreconditionFailed", "ConditionalRequestConflict"}


class Taken(SegueError):
    """An object with the key exists already, so a put that asked for a new object wrote nothing."""


class Missing(InputError):
    """The bucket has no object with the key."""


@dataclass(frozen=True)
class Stored:
    """An object in a listing: its key without the bucket's prefix, its size in bytes, and when it was written (UTC)."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class Bucket:
    """A bucket, or the keys in it that begin with a prefix. Instances may be used by several threads.

    Attributes:
        name: the name of the bucket.
        prefix: the beginning of all keys, without slashes at its ends; empty for the whole bucket.
        endpoint: `http(s)://HOST:PORT` of the server; None for Amazon's.
        region: the region of the server.
    """

    name: str
    prefix: str = ""
    endpoint: str | None = None
    region: str = "us-east-1"

    @classmethod
    def at(cls, place: str, settings: Settings) -> "Bucket":
        """The bucket and prefix of a place `s3://BUCKET[/PREFIX]`, on the server that the settings name."""
        url = urlsplit(place)
        return cls(url.netloc, url.path.strip("/"), settings.objects_endpoint, settings.objects_region)

    @property
    def url(self) -> str:
        """`s3://BUCKET[/PREFIX]`."""
        return f"s3://{self.name}/{self.prefix}".rstrip("/")

    def put(self, key: str, body: bytes, if_absent: bool = False) -> None:
        """Write an object; readers see the old object or the new one.

        Args:
            key: its key, after the bucket's prefix.
            body: its bytes.
            if_absent: write only if no object has the key; of several writers one succeeds.

        Raises:
            Taken: `if_absent`, and an object has the key.
            InputError: the server refuses the credentials or has no such bucket, or the key is too long.
            UnavailableError: the server does not answer.
        """
        condition = {"IfNoneMatch": "*"} if if_absent else {}
        with self._errors(key):
            self._client.put_object(Bucket=self.name, Key=self._full(key), Body=body, **condition)

    def put_file(self, key: str, path: Path, sha256: str) -> None:
        """Stream a file into an object. The server checks that the bytes have the digest.

        Args:
            key: the key of the object.
            path: the file.
            sha256: the SHA-256 of its bytes, in hexadecimal digits.

        Raises:
            InputError: as `put`; the file is larger than 5 GiB, or its bytes have not the digest any more.
            UnavailableError: the server does not answer.
        """
        size = path.stat().st_size
        if size > MAX_OBJECT_BYTES:
            raise InputError(
                f"A file in the object store has at most {MAX_OBJECT_BYTES:,} bytes. {path} has {size:,}.",
                "Write it as several files.",
            )
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        with self._errors(key), path.open("rb") as file:
            self._client.put_object(Bucket=self.name, Key=self._full(key), Body=file, ChecksumSHA256=checksum)

    def get(self, key: str) -> bytes:
        """Return the bytes of an object.

        Raises:
            Missing: no object has the key.
            InputError: the server refuses the credentials or has no such bucket.
            UnavailableError: the server does not answer.
        """
        with self._errors(key):
            return self._client.get_object(Bucket=self.name, Key=self._full(key))["Body"].read()

    def get_file(self, key: str, path: Path) -> str:
        """Stream an object into a file, and return the SHA-256 of its bytes in hexadecimal digits.

        Raises: as `get`. The file may then hold a part of the object.
        """
        digest = hashlib.sha256()
        with self._errors(key), path.open("wb") as file:
            body = self._client.get_object(Bucket=self.name, Key=self._full(key))["Body"]
            while chunk := body.read(CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def list(self, prefix: str) -> Iterator[Stored]:
        """Yield the objects whose keys begin with `prefix`, by key.

        Raises:
            InputError: the server refuses the credentials or has no such bucket.
            UnavailableError: the server does not answer.
        """
        start = len(self._full(""))
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.name, Prefix=self._full(prefix)):
                if "Name" not in page:  # boto3 reads any other XML, such as a web page, as an empty listing
                    raise s3_errors.not_s3("a web page", self.endpoint)
                for entry in page.get("Contents", ()):
                    yield Stored(entry["Key"][start:], entry["Size"], entry["LastModified"])

    def server(self) -> str:
        """Return the name and version that the server gives itself (`AmazonS3`), or an empty text.

        Raises:
            InputError: the server refuses.
            UnavailableError: the server does not answer.
        """
        with self._errors(""):
            answer = self._client.list_objects_v2(Bucket=self.name, Prefix=self._full(""), MaxKeys=1)
        return str(answer["ResponseMetadata"]["HTTPHeaders"].get("server", ""))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; keys without an object are passed over.

        Raises:
            InputError: the server refuses the credentials or has no such bucket.
            UnavailableError: the server does not answer, or has not deleted them all.
        """
        remaining = list(keys)
        while remaining:
            batch, remaining = remaining[:MAX_DELETED_KEYS], remaining[MAX_DELETED_KEYS:]
            objects = [{"Key": self._full(key)} for key in batch]
            with self._errors(batch[0]):
                answer = self._client.delete_objects(Bucket=self.name, Delete={"Objects": objects, "Quiet": True})
            if refused := answer.get("Errors"):
                raise s3_errors.refusal(refused[0]["Code"], refused[0].get("Message", ""), self.url, self.endpoint)

    def upload_tree(self, folder: Path, prefix: str) -> None:
        """Write every file of a folder as the object `PREFIX/<path in the folder>`.

        Raises: as `put_file`.
        """

        def upload(name: str) -> None:
            self.put_file(f"{prefix}/{name}", folder / name, folders.sha256(folder / name))

        in_parallel(upload, folders.names(folder))

    def download_tree(self, prefix: str, folder: Path) -> None:
        """Write every object `PREFIX/…` as a file of a folder. Other files of the folder stay.

        Raises: as `get`; InputError if a key is no path inside the folder.
        """

        def download(stored: Stored) -> None:
            with files.atomic_path(folders.inside(folder, stored.key.removeprefix(f"{prefix}/"))) as temporary:
                self.get_file(stored.key, temporary)

        in_parallel(download, list(self.list(f"{prefix}/")))

    @functools.cached_property
    def _client(self) -> Any:
        """The client of boto3."""
        import boto3
        from botocore.config import Config

        # A session of its own, because the default session is not safe in threads.
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                max_pool_connections=THREADS,
                s3={"addressing_style": "path" if self.endpoint else "auto"},
            ),
        )
        s3_errors.check_name(client.meta.endpoint_url)
        return client

    def _full(self, key: str) -> str:
        """The key with the bucket's prefix."""
        full = f"{self.prefix}/{key}" if self.prefix else key
        if len(full.encode(errors="surrogateescape")) > MAX_KEY_BYTES:
            raise InputError(f"A key of S3 has at most {MAX_KEY_BYTES} bytes. Received {full!r}.", "Use shorter names.")
        return full

    @contextlib.contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Raise errors of boto3 as errors for people that name the server and the object."""
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError
        from urllib3.exceptions import HTTPError

        try:
            yield
        except ClientError as error:
            code, message = (error.response.get("Error", {}).get(name, "") for name in ("Code", "Message"))
            if code in TAKEN:
                raise Taken(f"{self.url}/{key} exists already.") from None
            if code == "NoSuchKey":
                raise Missing(f"There is no object {self.url}/{key}.", "Check its name.") from None
            raise s3_errors.refusal(code, message, self.url, self.endpoint) from error
        except (BotoCoreError, ResponseParserError, HTTPError) as error:
            raise s3_errors.fault(error, self.url, self.endpoint) from error
