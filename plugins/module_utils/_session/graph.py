# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A conversation with Microsoft Graph about one mailbox."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from .._signin.tokens import Token
from .._verdict.signal import Signal, Stopped, stop
from .._wire.clock import Clock
from .._wire.http import HttpClient, HttpResponse
from .._wire.record import Record
from .endpoint import Endpoint
from .redaction import Redaction
from .session import Session

LONGEST_TEXT = 400

_WORD = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_JSON = {"Content-Type": "application/json"}
_ASKED_TO_WAIT = (429, 503)
_MIME = {"Content-Type": "text/plain"}


class GraphSession(Session):
    """Requests for one mailbox, over one connection."""

    def __init__(self, endpoint: Endpoint, clock: Clock, record: Record) -> None:
        super().__init__(endpoint, clock, record)
        self._http = HttpClient(clock, endpoint.trust, endpoint.proxy, record)
        self._token: Token | None = None
        self._redact = Redaction("", None)

    def told(self) -> dict[str, Any]:
        return {"mailbox": self.endpoint.mailbox, "size_limit": "35 MB unless Exchange says otherwise"}

    def open(self) -> None:
        with self.record.phase("config"):
            pass
        try:
            self._http.connect(self._url(""))
        finally:
            self.address, self.tls = self._http.address, self._http.tls
        self.is_encrypted = True

    def sign_in(self, token: Token | None = None) -> None:
        """Nothing is sent yet: the token goes with each request."""
        if token is None:
            raise stop("config", "there is no token to sign in with")
        self._token = token
        self._redact.hide([token.secret.reveal()])

    def folder(self, name: str = "inbox") -> dict[str, Any]:
        """A folder of the mailbox, where the application may read it."""
        return self.ask("GET", f"mailFolders/{quote(name, safe='')}")

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A request about the mailbox, in JSON; what was answered, which is empty where there is nothing to say."""
        data = None if body is None else json.dumps(body).encode()
        return self._answered(self._request(method, self._url(path), data, _JSON if data else {}))

    def post_mime(self, path: str, message: bytes) -> dict[str, Any]:
        """Hand over a whole message as it is."""
        return self._answered(self._request("POST", self._url(path), base64.b64encode(message), _MIME))

    def quit(self) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def _url(self, path: str) -> str:
        host = f"[{self.endpoint.host}]" if ":" in self.endpoint.host else self.endpoint.host
        mailbox = quote(self.endpoint.mailbox, safe="@")
        return f"https://{host}:{self.endpoint.port}/v1.0/users/{mailbox}/{path}"

    def _request(self, method: str, url: str, data: bytes | None, headers: Mapping[str, str]) -> HttpResponse:
        if self._token is None:
            raise stop("internal", "nobody has signed in")
        self.has_sent_credentials = True
        bearer = {"Authorization": f"Bearer {self._token.secret.reveal()}", "Accept": "application/json"}
        response = self._http.request(method, url, data, {**bearer, **headers})
        while response.status_code in _ASKED_TO_WAIT and self.clock.pause(_seconds(response)):
            response = self._http.request(method, url, data, {**bearer, **headers})
        return response

    def _answered(self, response: HttpResponse) -> dict[str, Any]:
        told = _object(response)
        if not 200 <= response.status_code < 300:
            raise Stopped(self._refusal(response, told))
        return told

    def _refusal(self, response: HttpResponse, told: Mapping[str, Any]) -> Signal:
        """Graph's error: its code, its words, and what Microsoft's support asks for."""
        error = told.get("error")
        error = error if isinstance(error, Mapping) else {}
        inner = error.get("innerError")
        inner = inner if isinstance(inner, Mapping) else {}
        code = error.get("code")
        request_id = inner.get("request-id") or response.headers.get("request-id")
        wait = _seconds(response)
        details = [f"request-id {request_id}"] if isinstance(request_id, str) and _WORD.fullmatch(request_id) else []
        details += [f"Retry-After {wait} s"] if wait else []
        text = _printable(self._redact(str(error.get("message") or f"HTTP status {response.status_code}")))
        return Signal(
            "graph",
            code=response.status_code,
            enhanced=code if isinstance(code, str) and _WORD.fullmatch(code) else "",
            text=f"{text} ({', '.join(details)})" if details else text,
        )


def _seconds(response: HttpResponse) -> int:
    """How long the server wants to be left alone; 0 where it does not say so in seconds."""
    wait = str(response.headers.get("Retry-After") or "")
    return int(wait) if wait.isdecimal() and len(wait) < 7 else 0


def _object(response: HttpResponse) -> dict[str, Any]:
    try:
        told = json.loads(response.text) if response.content else {}
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _printable(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:LONGEST_TEXT]
