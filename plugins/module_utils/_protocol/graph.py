# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A session with Microsoft Graph for one mailbox."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
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
LARGEST_RANGE = 10 * 320 * 1024  # of an upload; must be a multiple of 320 KiB
MAX_CONCURRENT_REQUESTS = 4  # for one mailbox

_WORD = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_JSON = {"Content-Type": "application/json"}
_RETRY_STATUSES = (429, 503)
_MIME = {"Content-Type": "text/plain"}
_ACCEPTED, _CREATED = 202, 201
_SLOT_PAUSE = 0.05
_slots: dict[tuple[str, str], threading.BoundedSemaphore] = {}
_slots_lock = threading.Lock()


class GraphSession(Session):
    """Requests for one mailbox, over one connection."""

    endpoint: GraphSettings

    def __init__(self, endpoint: Endpoint, clock: Clock, record: Record, redact: Redaction) -> None:
        super().__init__(endpoint, clock, record, redact)
        self.request_id = ""
        """The request-id of the last response, which Microsoft's support asks for."""
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
        """Keep the token; it is sent with each request."""
        if token is None:
            raise probe_error("config", "the sign-in needs a token")
        self._token = token
        self.redact.hide(token.secret.reveal())

    def get_folder(self, name: str = "inbox") -> dict[str, Any]:
        """Get a folder of the mailbox, which fails if the application may not read it."""
        body = self.request("GET", f"mailFolders/{quote(name, safe='')}")
        if "id" not in body:
            raise ProbeError(Observation("graph", text="the response is not a mail folder"))
        return body

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a JSON request about the mailbox; returns the JSON object of the response, which may be empty."""
        data = None if body is None else json.dumps(body).encode()
        return self._check_response(self._send_authorized(method, self._url(path), data, _JSON if data else {}))

    def submit(self, path: str, body: Mapping[str, Any] | bytes | None = None) -> None:
        """Submit a message: MIME, JSON, or a draft by its path. Only the status 202 means that it was accepted."""
        if isinstance(body, bytes):
            data, headers = base64.b64encode(body), _MIME
        else:
            data, headers = (b"", {}) if body is None else (json.dumps(body).encode(), _JSON)
        self._check_response(self._send_authorized("POST", self._url(path), data, headers), _ACCEPTED)

    def upload(self, url: str, size: int, ranges: Iterable[bytes]) -> None:
        """Upload a file of this size to an upload URL in ranges. The URL is a secret; the token is not sent to it."""
        parts = urlsplit(url)
        self.redact.hide(parts.query, parts.path.rpartition("/")[2])
        start = 0
        for chunk in ranges:
            end = start + len(chunk)
            content_range = {"Content-Range": f"bytes {start}-{end - 1}/{size}"}
            response = self._wait_and_retry("PUT", url, chunk, {"Accept": "application/json", **content_range})
            self._check_response(response, _CREATED if end == size else 0)
            start = end

    def quit(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _url(self, path: str) -> str:
        host = f"[{self.endpoint.host}]" if ":" in self.endpoint.host else self.endpoint.host
        mailbox = quote(self.endpoint.mailbox, safe="@")
        return f"https://{host}:{self.endpoint.port}/v1.0/users/{mailbox}/{path}"

    def _send_authorized(self, method: str, url: str, data: bytes | None, headers: Mapping[str, str]) -> HttpResponse:
        if self._token is None:
            raise probe_error("internal", "the request is sent before the sign-in")
        self.has_sent_credentials = True
        bearer = {"Authorization": f"Bearer {self._token.secret.reveal()}", "Accept": "application/json"}
        return self._wait_and_retry(method, url, data, {**bearer, **headers})

    def _wait_and_retry(self, method: str, url: str, data: bytes | None, headers: Mapping[str, str]) -> HttpResponse:
        """Send a request; repeat it only after a refusal with Retry-After: any other may have been carried out."""
        while True:
            with self._request_slot():
                response = self._http.request(method, url, data, headers)
            if response.status_code not in _RETRY_STATUSES or not self.clock.pause(response.retry_after):
                return response

    @contextmanager
    def _request_slot(self) -> Iterator[None]:
        """Wait for one of the requests that Graph allows concurrently for a mailbox."""
        key = (canonical(self.endpoint.host), self.endpoint.mailbox.lower())
        with _slots_lock:
            slots = _slots.setdefault(key, threading.BoundedSemaphore(MAX_CONCURRENT_REQUESTS))
        # Polled, since on old C libraries a timeout uses the wall clock, which may jump.
        while not slots.acquire(blocking=False):
            if not self.clock.pause(_SLOT_PAUSE):
                raise probe_error("timeout", "other requests for this mailbox did not end in time")
        try:
            yield
        finally:
            slots.release()

    def _check_response(self, response: HttpResponse, expected: int = 0) -> dict[str, Any]:
        """The JSON object of a successful response; `expected` is the only successful status, if given."""
        body = _parse_json(response)
        self.request_id = self._redact_word(response.headers.get("request-id"))
        if response.status_code != (expected or response.status_code) or not 200 <= response.status_code < 300:
            raise ProbeError(self._refusal(response, body))
        return body

    def _refusal(self, response: HttpResponse, body: Mapping[str, Any]) -> Observation:
        """The observation of an error: its code, its message, and the request-id and Retry-After."""
        error = body.get("error")
        error = error if isinstance(error, Mapping) else {}
        inner = error.get("innerError")
        inner = inner if isinstance(inner, Mapping) else {}
        code = error.get("code")
        request_id = self._redact_word(inner.get("request-id")) or self.request_id
        wait = self.redact(str(response.retry_after))
        details = [f"request-id {request_id}"] if request_id else []
        details += [f"Retry-After {wait} s"] if wait != "0" else []
        message = " ".join(str(error.get("message") or "").split())
        text = self.redact(message)[:LONGEST_TEXT] or f"HTTP status {response.status_code}"
        return Observation(
            "graph",
            code=response.status_code,
            enhanced=self._redact_word(code),
            text=f"{text} ({', '.join(details)})" if details else text,
        )

    def _redact_word(self, text: object) -> str:
        """The text if it is one word and no secret, else an empty text."""
        is_word = isinstance(text, str) and _WORD.fullmatch(text) and self.redact.is_free_of_secrets(text)
        return str(text) if is_word else ""


def _parse_json(response: HttpResponse) -> dict[str, Any]:
    try:
        body = json.loads(response.text) if response.content else {}
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
