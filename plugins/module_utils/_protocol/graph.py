# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A conversation with Microsoft Graph about one mailbox."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from math import ceil
from typing import Any
from urllib.parse import quote, urlsplit

from .._auth.tokens import Token
from .._connector.domain import canonical
from .._connector.redaction import Redaction
from .._connector.resolved import Endpoint, GraphSettings
from .._net.clock import Clock
from .._net.https import HttpClient, HttpResponse
from .._net.record import Record
from .._verdict.observation import Observation, ProbeError, probe_error
from .session import Session

LONGEST_TEXT = 400
LARGEST_REQUEST = 4 * 1024 * 1024
LARGEST_RANGE = 10 * 320 * 1024  # of an upload; it has to be a multiple of 320 KiB
MOST_AT_ONCE = 4  # requests about one mailbox

_WORD = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_JSON = {"Content-Type": "application/json"}
_ASKED_TO_WAIT = (429, 503)
_MIME = {"Content-Type": "text/plain"}
_ACCEPTED, _CREATED = 202, 201
_TURN = 0.05
_turns: dict[tuple[str, str], threading.BoundedSemaphore] = {}
_turns_lock = threading.Lock()


class GraphSession(Session):
    """Requests for one mailbox, over one connection."""

    endpoint: GraphSettings

    def __init__(self, endpoint: Endpoint, clock: Clock, record: Record, redact: Redaction) -> None:
        super().__init__(endpoint, clock, record, redact)
        self.request_id = ""
        """What Microsoft's support asks for, of the last answer."""
        self._http = HttpClient(clock, redact, endpoint.trust, endpoint.proxy, record)
        self._token: Token | None = None

    def advertised(self) -> dict[str, Any]:
        return {"mailbox": self.endpoint.mailbox, "size_limit": "35 MB unless Exchange says otherwise"}

    def open(self) -> None:
        try:
            self._http.connect(self._url(""))
        finally:
            self.connection = self._http.connection

    def sign_in(self, token: Token | None = None) -> None:
        """Nothing is sent yet: the token goes with each request."""
        if token is None:
            raise probe_error("config", "there is no token to sign in with")
        self._token = token
        self.redact.hide(token.secret.reveal())

    def folder(self, name: str = "inbox") -> dict[str, Any]:
        """A folder of the mailbox, where the application may read it."""
        body = self.ask("GET", f"mailFolders/{quote(name, safe='')}")
        if "id" not in body:
            raise ProbeError(Observation("graph", text="an answer that is not a folder"))
        return body

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A request about the mailbox, in JSON; what was answered, which is empty where there is nothing to say."""
        data = None if body is None else json.dumps(body).encode()
        return self._parsed(self._request(method, self._url(path), data, _JSON if data else {}))

    def submit(self, path: str, body: Mapping[str, Any] | bytes | None = None) -> None:
        """Have a message sent: a whole one, a described one, or a draft. Only 202 says that it was accepted."""
        if isinstance(body, bytes):
            data, headers = base64.b64encode(body), _MIME
        else:
            data, headers = (b"", {}) if body is None else (json.dumps(body).encode(), _JSON)
        self._parsed(self._request("POST", self._url(path), data, headers), _ACCEPTED)

    def upload(self, url: str, content: bytes) -> None:
        """Put a file where Graph said, range by range. That address is a secret, and is not shown the token."""
        parts = urlsplit(url)
        self.redact.hide(parts.query, parts.path.rpartition("/")[2])
        for start in range(0, len(content), LARGEST_RANGE):
            piece = content[start : start + LARGEST_RANGE]
            end = start + len(piece)
            place = {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}"}
            response = self._wait_and_retry("PUT", url, piece, {"Accept": "application/json", **place})
            self._parsed(response, _CREATED if end == len(content) else 0)

    def quit(self) -> None:
        self.close()

    def close(self) -> None:
        """Close without a word, in any state."""
        self._http.close()

    def _url(self, path: str) -> str:
        host = f"[{self.endpoint.host}]" if ":" in self.endpoint.host else self.endpoint.host
        mailbox = quote(self.endpoint.mailbox, safe="@")
        return f"https://{host}:{self.endpoint.port}/v1.0/users/{mailbox}/{path}"

    def _request(self, method: str, url: str, data: bytes | None, headers: Mapping[str, str]) -> HttpResponse:
        if self._token is None:
            raise probe_error("internal", "nobody has signed in")
        self.has_sent_credentials = True
        bearer = {"Authorization": f"Bearer {self._token.secret.reveal()}", "Accept": "application/json"}
        return self._wait_and_retry(method, url, data, {**bearer, **headers})

    def _wait_and_retry(self, method: str, url: str, data: bytes | None, headers: Mapping[str, str]) -> HttpResponse:
        """A request, again after a refusal that asks to wait, and after nothing else: it may have been carried out."""
        while True:
            with self._turn():
                response = self._http.request(method, url, data, headers)
            if response.status_code not in _ASKED_TO_WAIT or not self.clock.pause(_seconds(response)):
                return response

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Graph refuses more requests at once about one mailbox than these, whoever makes them."""
        key = (canonical(self.endpoint.host), self.endpoint.mailbox.lower())
        with _turns_lock:
            turns = _turns.setdefault(key, threading.BoundedSemaphore(MOST_AT_ONCE))
        # Not with a timeout: with an old C library that is by the wall clock, which may jump.
        while not turns.acquire(blocking=False):
            if not self.clock.pause(_TURN):
                raise probe_error("timeout", "other requests about this mailbox did not end in time")
        try:
            yield
        finally:
            turns.release()

    def _parsed(self, response: HttpResponse, expected: int = 0) -> dict[str, Any]:
        """What was answered, where it is a success: any, or the only one that is."""
        body = _object(response)
        self.request_id = self._word(response.headers.get("request-id"))
        if response.status_code != (expected or response.status_code) or not 200 <= response.status_code < 300:
            raise ProbeError(self._refusal(response, body))
        return body

    def _refusal(self, response: HttpResponse, body: Mapping[str, Any]) -> Observation:
        """Graph's error: its code, its words, and what Microsoft's support asks for."""
        error = body.get("error")
        error = error if isinstance(error, Mapping) else {}
        inner = error.get("innerError")
        inner = inner if isinstance(inner, Mapping) else {}
        code = error.get("code")
        request_id = self._word(inner.get("request-id")) or self.request_id
        wait = self.redact(str(_seconds(response)))
        details = [f"request-id {request_id}"] if request_id else []
        details += [f"Retry-After {wait} s"] if wait != "0" else []
        message = " ".join(str(error.get("message") or "").split())
        text = self.redact(message)[:LONGEST_TEXT] or f"HTTP status {response.status_code}"
        return Observation(
            "graph",
            code=response.status_code,
            enhanced=self._word(code),
            text=f"{text} ({', '.join(details)})" if details else text,
        )

    def _word(self, text: object) -> str:
        """What is said in one word; nothing where it is something else, or repeats a secret."""
        is_word = isinstance(text, str) and _WORD.fullmatch(text) and self.redact.is_free_of_secrets(text)
        return str(text) if is_word else ""


def _seconds(response: HttpResponse) -> int:
    """How long the server wants to be left alone; 0 where it does not say."""
    wait = str(response.headers.get("Retry-After") or "")
    if wait.isdecimal():
        return int(wait) if len(wait) < 7 else 0
    try:
        until = parsedate_to_datetime(wait)
        return max(0, ceil((until - datetime.now(timezone.utc)).total_seconds()))
    except (TypeError, ValueError, IndexError, OverflowError):
        return 0


def _object(response: HttpResponse) -> dict[str, Any]:
    try:
        body = json.loads(response.text) if response.content else {}
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
