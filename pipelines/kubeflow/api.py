"""The API of Kubeflow Pipelines at an address. Every error says what is wrong there and what to do.

`kfp.Client` is not used: it asks for 25 s before it gives up, and writes files of its own into the home of the user.
"""

import json
import ssl
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import kfp_server_api
from urllib3.exceptions import HTTPError

from pipelines.kubeflow import errors
from stores.settings import Settings, shown

TIMEOUT = (3, 5)  # seconds to connect, and between two bytes of an answer
Result = TypeVar("Result")


class Kubeflow:
    """A connection to the API v2beta1.

    Args:
        address: of the API, for instance `http://localhost:8080`; an installation may have a path such as `/pipeline`.
        token: of the user; None if the installation asks for none.
    """

    def __init__(self, address: str, token: str | None = None) -> None:
        self.address = shown(address.rstrip("/"))
        self.token = token
        configuration = kfp_server_api.Configuration(host=address.rstrip("/"))
        configuration.retries = False  # a second attempt is the caller's decision; redirects lead to pages for people
        configuration.ssl_ca_cert = ssl.get_default_verify_paths().cafile  # SSL_CERT_FILE names another
        self.client = client = kfp_server_api.ApiClient(configuration)
        if token:
            client.default_headers["authorization"] = f"Bearer {token}"
        self.health = kfp_server_api.HealthzServiceApi(client)
        self.experiments = kfp_server_api.ExperimentServiceApi(client)
        self.runs = kfp_server_api.RunServiceApi(client)
        self.schedules = kfp_server_api.RecurringRunServiceApi(client)

    @classmethod
    def of(cls, settings: Settings) -> "Kubeflow":
        """Return the connection that the settings name.

        Raises:
            InputError: they name none.
        """
        if not settings.kubeflow:
            raise errors.no_address()
        token = settings.kubeflow_token
        return cls(settings.kubeflow, token.get_secret_value() if token else None)

    def call(self, method: Callable[..., Result], *arguments: Any, subject: str = "", **options: Any) -> Result:
        """Call a method of the API.

        Args:
            method: for instance `self.runs.run_service_get_run`.
            arguments: its arguments.
            subject: what the call is about, for the error that it does not exist: `the run 1b2c`.
            options: its keyword arguments.

        Raises:
            InputError: the address, the token, the rights or the call are wrong.
            UnavailableError: the API does not answer, or fails.
        """
        try:
            result = method(*arguments, _request_timeout=TIMEOUT, **options)
            dict(json.loads(self.client.last_response.data))  # the client makes an empty object of any page
            return result
        except (kfp_server_api.OpenApiException, HTTPError, ValueError, AttributeError, TypeError, KeyError) as error:
            # Without the cause, which has the headers.
            raise errors.told(error, self.address, self.token, subject) from None

    def rows(self, method: Callable[..., Any], field: str, **options: Any) -> Iterator[Any]:
        """Yield the rows of a list of the API, page after page.

        Args:
            method: for instance `self.runs.run_service_list_runs`.
            field: the field of its answer that has the rows.
            options: its keyword arguments.

        Raises: as `call`.
        """
        page = ""
        while True:
            answer = self.call(method, **options, **({"page_token": page} if page else {}))
            yield from getattr(answer, field) or []
            page = answer.next_page_token
            if not page:
                return

    def link(self, run_id: str) -> str:
        """Return the address of the page of a run."""
        return f"{self.address}/#/runs/details/{run_id}"
