# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simple client for HTTPS to try the peers with."""

from __future__ import annotations

import dataclasses
import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from peers.ca import CertificateZoo

SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)


@dataclasses.dataclass(frozen=True)
class Web:
    """Asks servers whose certificates come from the private CA."""

    zoo: CertificateZoo
    seconds: float = SECONDS

    def ask(self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request on a connection of its own."""
        parts = urlsplit(url)
        kinds = {"https": self._encrypted, "http": http.client.HTTPConnection}
        connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=self.seconds)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, body, dict(headers or {}))
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def get(self, url: str, headers: Mapping[str, str] | None = None, **query: str) -> Answer:
        """Asks for a page."""
        return self.ask("GET", url + (f"?{urlencode(query, quote_via=quote)}" if query else ""), None, headers)

    def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
        """Sends a form."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", url, urlencode(form).encode(), {**kind, **(headers or {})})

    def send(self, url: str, value: object, token: str, method: str = "POST") -> Answer:
        """Sends JSON with an access token."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        return self.ask(method, url, json.dumps(value).encode(), headers)

    def _encrypted(self, host: str, port: int, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=self.zoo.trusting())
