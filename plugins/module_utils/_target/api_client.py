# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""An HTTP client for the API of one application: its origin only, retries on request, and errors in one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode, urljoin

from .._connector.redaction import Redaction
from .._connector.secret import Secret
from .._errors import MailroomError
from .._net.clock import Clock
from .._net.https import HttpClient, HttpResponse, parse_url
from .._verdict.observation import Observation, ProbeError

MAX_REDIRECTS = 3
MAX_DEPTH = 40
"""How deeply JSON may be nested, so that whatever walks through it later ends."""
MAX_TEXT_LENGTH = 400
_RETRY_STATUSES = (429, 503)
_REDIRECTS = (301, 302, 303, 307, 308)
_KEEPS_METHOD = (307, 308)
_TOKEN = re.compile(r"[!-~]{1,65536}\Z")
_PATH = re.compile(r"[^?#\s]*\Z")

_CANNOT_BE_REACHED = {
    "not_found": "there is no such host",
    "name_temporary": "its name cannot be looked up at the moment",
    "refused": "nothing listens there",
    "unreachable": "there is no route to it",
    "timeout": "there was no answer in time",
    "reset": "it closed the connection",
    "closed": "it closed the connection",
    "speaks_plain": "it does not speak TLS there",
}


class ApiError(MailroomError):
    """An application cannot be reached, or refused a request; the text is the user's sentence."""

    def __init__(self, message: str, status: int = 0, *, is_lost: bool = False, words: str = "") -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status, 0 where there was none."""
        self.is_lost = is_lost
        """Whether the request was sent and its answer did not arrive, so that it may have been carried out."""
        self.words = words
        """The application's own words, redacted."""


class ApiClient:
    """Requests to one application. All of its text that is shown is redacted."""

    def __init__(self, name: str, url: str, http: HttpClient, clock: Clock, redact: Redaction) -> None:
        self.headers: dict[str, str] = {"Accept": "application/json"}
        """Sent with every request: who signs in adds its own."""
        self.clock = clock
        self.redact = redact
        self.session: dict[str, Any] = {}
        """What signing in has told, where that is not a header."""
        self.right = ""
        """What the account needs to be allowed, for the sentence of a refusal."""
        self.words_of: Callable[[Any], str] = lambda _body: ""
        """The application's own words in the body of an error."""
        self._name = name
        self._base = url.rstrip("/")
        self._http = http
        http.plain_to_loopback = True

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        return self.request("GET", f"{path}?{urlencode(query)}" if query else path)

    def post_form(self, path: str, form: Mapping[str, str]) -> Any:
        return self._send("POST", path, urlencode(form).encode(), "application/x-www-form-urlencoded")

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request, its body as JSON, and return the JSON of the answer, None where that is empty."""
        content = None if body is None else json.dumps(body).encode()
        return self._send(method, path, content, "application/json" if content else "")

    def issued_token(self, answer: Any, name: str = "") -> Secret:
        """The token in an answer, or under a name in it. It is hidden from now on."""
        token = answer.get(name) if isinstance(answer, Mapping) else answer
        if not isinstance(token, str) or not _TOKEN.match(token):
            raise self.error(f"url: what answers there is not the API of {self._name}")
        self.redact.hide(token)
        return Secret(token)

    @contextmanager
    def reading_answers(self) -> Iterator[None]:
        """Tell of answers that hold other types than they should, wherever reading them fails."""
        try:
            yield
        except (TypeError, ValueError, AttributeError, LookupError, RecursionError):
            raise self.error(f"url: what answers there is not the API of {self._name}") from None

    def close(self) -> None:
        self._http.close()

    def error(self, message: str, response: HttpResponse | None = None, words: str = "") -> ApiError:
        """The error with this sentence, which is followed by the application's own words."""
        says = self.redact(" ".join(words.split()))[:MAX_TEXT_LENGTH]
        status = response.status_code if response else 0
        return ApiError(f"{message}. It says: {says}" if says else f"{message}.", status, words=says)

    def _send(self, method: str, path: str, content: bytes | None, content_type: str) -> Any:
        headers = {**self.headers, **({"Content-Type": content_type} if content_type else {})}
        url = f"{self._base}{path}"
        for _redirect in range(MAX_REDIRECTS + 1):
            response = self._wait_and_retry(method, url, content, headers)
            if response.status_code not in _REDIRECTS:
                return self._parse(response)
            url = self._redirected(method, url, response)
        raise self.error(f"url: {self._name} redirects too often", response)

    def _wait_and_retry(self, method: str, url: str, content: bytes | None, headers: Mapping[str, str]) -> HttpResponse:
        """Send a request; repeat it after a refusal with Retry-After, and a GET once whose answer was lost."""
        may_repeat = method == "GET"
        while True:
            try:
                response = self._http.request(method, url, content, headers)
            except ProbeError as error:
                lost = error.observation.facts.get("step") == "answering"
                if lost and may_repeat and error.observation.kind in ("closed", "reset"):
                    may_repeat = False
                    continue
                raise self._unreachable(error.observation, is_lost=lost) from None
            if response.status_code not in _RETRY_STATUSES or not self.clock.pause(response.retry_after):
                return response

    def _redirected(self, method: str, url: str, response: HttpResponse) -> str:
        """The URL of a redirect, which must be of the same origin: the login goes nowhere else."""
        place = urljoin(url, str(response.headers.get("Location") or ""))
        try:
            origin = parse_url(place)[1]
        except ProbeError:
            origin = None
        if origin != parse_url(url)[1]:
            where = f" ({self.redact(f'{origin.scheme}://{origin.host}:{origin.port}')})" if origin else ""
            raise self.error(
                f"url: {self._name} redirects to another origin{where}, which is not followed, since the login is"
                " for this one alone: give the URL that it is served at",
                response,
            )
        if method != "GET" and response.status_code not in _KEEPS_METHOD:
            raise self.error(
                f"url: {self._name} redirects a request that changes settings, as if url were wrong", response
            )
        return place

    def _parse(self, response: HttpResponse) -> Any:
        status, name = response.status_code, self._name
        try:
            body = parse_json(response.text) if response.content.strip() else None
        except ValueError:
            if 200 <= status < 300:
                raise self.error(f"url: what answers there is not the API of {name}", response) from None
            body = None
        if 200 <= status < 300:
            return body
        words = self.words_of(body) if body is not None else ""
        if status == 401:
            raise self.error(f"login: {name} does not accept it", response, words)
        if status == 403:
            needs = f": it needs {self.right}" if self.right else ""
            raise self.error(f"login: the account may not do this in {name}{needs}", response, words)
        if status in _RETRY_STATUSES:
            what = "takes no more requests for now" if status == 429 else "is not available for now"
            raise self.error(f"url: {name} {what} (HTTP status {status})", response, words)
        raise self.error(f"url: {name} answers with HTTP status {status}", response, words)

    def _unreachable(self, observation: Observation, *, is_lost: bool) -> ApiError:
        text = self.redact(observation.text)
        if observation.kind == "certificate":
            return ApiError(f"url: the certificate of {self._name} is not valid for this task ({text}): set ca_file.")
        if observation.kind in ("proxy", "proxy_target"):
            return ApiError(f"proxy: {self._name} cannot be reached through it ({text}).")
        if observation.kind == "config":
            return ApiError(text)
        reason = _CANNOT_BE_REACHED.get(observation.kind, text or observation.kind)
        what = "did not answer" if is_lost else "cannot be reached"
        return ApiError(f"url: {self._name} {what}: {reason}.", is_lost=is_lost)


def parse_json(text: str | bytes) -> Any:
    """The value of JSON, or a ValueError where it is none or too deeply nested."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("too deeply nested") from None
    level = [value]
    for _depth in range(MAX_DEPTH):
        level = [inner for each in level for inner in _values(each)]
        if not level:
            return value
    raise ValueError("too deeply nested")


def _values(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def segment(text: str) -> str:
    """Text as one segment of a path."""
    return quote(text, safe="")


def api_url_problem(url: str) -> str:
    """What is wrong with the URL of an API; empty if it is right."""
    allowed = "must be https://host, https://host:port or that with a path, and http:// only with a loopback address"
    try:
        parts, origin = parse_url(url)
    except ProbeError:
        return allowed
    if "@" in parts.netloc or "?" in url or "#" in url or not _PATH.match(parts.path) or not url.isprintable():
        return f"{allowed}; user, query and fragment have no place in it"
    return allowed if origin.scheme == "http" and not origin.is_loopback else ""
