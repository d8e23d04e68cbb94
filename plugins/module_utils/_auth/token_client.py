# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Requests to a token endpoint. Secrets that are sent or received are registered with the redaction."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from .._connector.redaction import MAX_READ_LENGTH, Redaction
from .._connector.secret import HIDDEN, Secret
from .._verdict.observation import Kind, Observation, ProbeError
from .claims import parse_claims
from .refusal import refused_token
from .tokens import Http, Response, Token

LONGEST_TEXT = 480
LONGEST_TOKEN = 64 * 1024
DOCUMENTATION = "https://login.microsoftonline.com/error?code="

_SECRET_FIELDS = ("client_secret", "client_assertion", "assertion", "password")
_SECRET_HEADERS = ("authorization", "secret", "x-identity-header")
_SCHEMES = ("basic", "bearer")
_TOKENS = ("access_token", "refresh_token", "id_token")
_JWT = re.compile(r"eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)*")
_BEARER = re.compile(r"[!-~]+")
_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_CODE = re.compile(r"AADSTS(\d{1,9})")
_MOST_CODES = 5
_NUMBER = re.compile("[0-9]{1,6}")


class TokenClient:
    """The HTTP client for one token. It keeps the last response, from which errors are built."""

    def __init__(self, http: Http, redact: Redaction, kind: Kind = "token") -> None:
        self._http = http
        self._redact = redact
        self._kind = kind
        self._last: Response | None = None
        self._declared_server = ""
        self._server = ""

    def get(self, url: str, params: Any = None, headers: Any = None, **more: Any) -> Response:
        self._hide_sent_secrets(None, headers)
        return self._send(url, lambda: self._http.get(url, params=params, headers=headers, **more))

    def post(self, url: str, data: Any = None, params: Any = None, headers: Any = None, **more: Any) -> Response:
        self._hide_sent_secrets(data, headers)
        return self._send(url, lambda: self._http.post(url, data=data, params=params, headers=headers, **more))

    def close(self) -> None:
        """Do nothing: whoever opened the connection closes it."""

    def last_json(self) -> dict[str, Any]:
        """The JSON object of the last response; empty if it had none."""
        try:
            body = json.loads(self._last.text) if self._last else {}
        except (ValueError, RecursionError):
            return {}
        return body if isinstance(body, dict) else {}

    def parse_token(self, body: Any) -> Token:
        """Parse the token of a response."""
        value = body.get("access_token") if isinstance(body, Mapping) else None
        if not value or not isinstance(body, Mapping):
            raise self._error(body if isinstance(body, Mapping) else {}, "the response has no token")
        if not isinstance(value, str) or not _BEARER.fullmatch(value) or len(value) > LONGEST_TOKEN:
            raise self._error({}, "the token has characters that cannot be sent, or is too long")
        if str(body.get("token_type") or "bearer").lower() != "bearer":
            raise self._error({}, "the token_type is not bearer")
        self._redact.hide(value)
        return Token(Secret(value), parse_claims(value, self._redact))

    def translate_error(self, error: Exception) -> ProbeError:
        """Translate a library's error: to what the server answered last, else to the error's own text."""
        return self._error(self.last_json(), self.redact(f"{type(error).__name__}: {error}"))

    def redact(self, text: str) -> str:
        """The server's text on one line, without secrets and without anything that looks like a token."""
        return self._redact(" ".join(_JWT.sub(HIDDEN, text[:MAX_READ_LENGTH]).split()))

    def _error(self, body: Mapping[str, Any], otherwise: str) -> ProbeError:
        error, description = _parse_error(body)
        codes = [each for each in _parse_codes(body.get("error_codes"), description) if self._redact(each) == each]
        status = self._last.status_code if self._last and self._last.status_code >= 300 else None
        if self._last and not self.last_json():
            otherwise = f"the response is not JSON (HTTP status {self._last.status_code})"
        facts = {
            "token_server": self._server,
            "error": self._redact_word(error),
            "error_codes": codes,
            "trace_id": self._redact_word(body.get("trace_id")),
            "correlation_id": self._redact_word(body.get("correlation_id")),
            "http_status": status,
            "retry_after": self._retry_after(),
            "link": f"{DOCUMENTATION}{codes[0]}" if codes else "",
        }
        reason = _without_trace(description) or error
        text = _with_details(self.redact(reason) if reason else otherwise, facts)
        words = [self._redact_word(error), self._redact_word(body.get("suberror")), *codes]
        enhanced = " ".join(word for word in words if word)
        known = {name: value for name, value in facts.items() if value}
        refused = refused_token(self._last.status_code, words) if self._last else ""
        return ProbeError(
            Observation(self._kind, code=status, enhanced=enhanced, text=text, facts=known, refused=refused)
        )

    def _retry_after(self) -> str:
        """Parse the Retry-After header, a number of seconds or a date, to seconds."""
        wait = str(self._last.headers.get("Retry-After") or "").strip() if self._last else ""
        if not wait.isdecimal():
            with suppress(ValueError, TypeError, OverflowError):
                until = parsedate_to_datetime(wait).timestamp()
                wait = str(max(1, math.ceil(until - time.time())))
        wait = self._redact(wait)
        return wait if _NUMBER.fullmatch(wait) else ""

    def _send(self, url: str, send: Callable[[], Response]) -> Response:
        server = _netloc(url)
        self._declared_server = self._declared_server or server
        # The first address was declared; any later one came from a server, so it is redacted.
        is_declared = server == self._declared_server
        self._last, self._server = None, server if is_declared else self._redact(server)
        try:
            response = send()
        except ProbeError as error:
            text = error.observation.text if is_declared else self.redact(error.observation.text)
            raise ProbeError(error.observation.with_context(text=text, facts={"token_server": self._server})) from None
        self._last = response
        body = self.last_json()
        self._redact.hide(*(body[name] for name in _TOKENS if isinstance(body.get(name), str)))
        return response

    def _hide_sent_secrets(self, data: Any, headers: Any) -> None:
        fields: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        sent = [fields[name] for name in _SECRET_FIELDS if name in fields]
        header_fields: Mapping[str, Any] = headers or {}
        for name, value in header_fields.items():
            if str(name).lower() in _SECRET_HEADERS and value:
                scheme, _space, credentials = str(value).partition(" ")
                sent.append(credentials if scheme.lower() in _SCHEMES else value)
        self._redact.hide(*(each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in sent))

    def _redact_word(self, value: Any) -> str:
        return self.redact(value) if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _parse_error(body: Mapping[str, Any]) -> tuple[str, str]:
    """The error and its description; some services nest both in an object."""
    error: Any = body.get("error")
    description: Any = body.get("error_description")
    if isinstance(error, Mapping):
        error, description = error.get("code"), description or error.get("message")
    known = error if isinstance(error, str) and _WORD.fullmatch(error) else ""
    return known, description if isinstance(description, str) else ""


def _parse_codes(value: Any, description: str) -> list[str]:
    """Microsoft's codes, from error_codes, else from the description."""
    codes = [str(code) for code in value if isinstance(code, int)] if isinstance(value, list) else []
    codes = [code for code in codes if code.isdigit() and len(code) < 10] or _CODE.findall(description)
    return list(dict.fromkeys(codes))[:_MOST_CODES]


def _without_trace(description: str) -> str:
    """Microsoft's description without the trace, which the response has in separate fields too."""
    return description[:MAX_READ_LENGTH].partition("Trace ID: ")[0].rstrip()


def _with_details(text: str, facts: Mapping[str, Any]) -> str:
    """Append what the provider's support asks for; the description is shortened, the details are not."""
    details = [f"{name} {facts[name]}" for name in ("retry_after", "trace_id", "correlation_id", "link") if facts[name]]
    tail = f" ({', '.join(details)})" if details else ""
    return text[: LONGEST_TEXT - len(tail)] + tail


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""
