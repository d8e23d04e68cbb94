# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What goes to and from a token endpoint: it is overheard, so that no secret of it is ever shown again."""

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
from .claims import claims_of
from .refusal import refused_token
from .tokens import Answer, Http, Token

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


class Exchange:
    """HTTP for one token. It remembers the last answer, and has all secrets hidden that were sent or received."""

    def __init__(self, http: Http, redact: Redaction, kind: Kind = "token") -> None:
        self._http = http
        self._redact = redact
        self._kind = kind
        self._last: Answer | None = None
        self._declared_server = ""
        self._server = ""

    def get(self, url: str, params: Any = None, headers: Any = None, **more: Any) -> Answer:
        self._hide_sent_secrets(None, headers)
        return self._send(url, lambda: self._http.get(url, params=params, headers=headers, **more))

    def post(self, url: str, data: Any = None, params: Any = None, headers: Any = None, **more: Any) -> Answer:
        self._hide_sent_secrets(data, headers)
        return self._send(url, lambda: self._http.post(url, data=data, params=params, headers=headers, **more))

    def close(self) -> None:
        """The connection belongs to whom it came from."""

    def last_json(self) -> dict[str, Any]:
        """The JSON object of the last answer; empty where there is none."""
        try:
            body = json.loads(self._last.text) if self._last else {}
        except (ValueError, RecursionError):
            return {}
        return body if isinstance(body, dict) else {}

    def token(self, body: Any) -> Token:
        """The token of an answer."""
        value = body.get("access_token") if isinstance(body, Mapping) else None
        if not value or not isinstance(body, Mapping):
            raise self._refusal(body if isinstance(body, Mapping) else {}, "an answer without a token")
        if not isinstance(value, str) or not _BEARER.fullmatch(value) or len(value) > LONGEST_TOKEN:
            raise self._refusal({}, "a token that cannot be sent")
        if str(body.get("token_type") or "bearer").lower() != "bearer":
            raise self._refusal({}, "a token of a type that is not known")
        self._redact.hide(value)
        return Token(Secret(value), claims_of(value, self._redact))

    def failed(self, error: Exception) -> ProbeError:
        """What a library's error stands for: what the server answered last, else the error itself."""
        return self._refusal(self.last_json(), self.hide(f"{type(error).__name__}: {error}"))

    def hide(self, text: str) -> str:
        """What the server says on one line, without secrets, and without tokens of whomever."""
        return self._redact(" ".join(_JWT.sub(HIDDEN, text[:MAX_READ_LENGTH]).split()))

    def _refusal(self, body: Mapping[str, Any], otherwise: str) -> ProbeError:
        error, description = _error_of(body)
        codes = [each for each in _codes(body.get("error_codes"), description) if self._redact(each) == each]
        status = self._last.status_code if self._last and self._last.status_code >= 300 else None
        if self._last and not self.last_json():
            otherwise = f"an answer that is not JSON (HTTP status {self._last.status_code})"
        facts = {
            "token_server": self._server,
            "error": self._word(error),
            "error_codes": codes,
            "trace_id": self._word(body.get("trace_id")),
            "correlation_id": self._word(body.get("correlation_id")),
            "http_status": status,
            "retry_after": self._retry_after(),
            "link": f"{DOCUMENTATION}{codes[0]}" if codes else "",
        }
        reason = _without_trace(description) or error
        text = _with_details(self.hide(reason) if reason else otherwise, facts)
        words = [self._word(error), self._word(body.get("suberror")), *codes]
        enhanced = " ".join(word for word in words if word)
        known = {name: value for name, value in facts.items() if value}
        refused = refused_token(self._last.status_code, words) if self._last else ""
        return ProbeError(
            Observation(self._kind, code=status, enhanced=enhanced, text=text, facts=known, refused=refused)
        )

    def _retry_after(self) -> str:
        """Seconds to wait, as the provider says them: as a number, or as the date until which to wait."""
        wait = str(self._last.headers.get("Retry-After") or "").strip() if self._last else ""
        if not wait.isdecimal():
            with suppress(ValueError, TypeError, OverflowError):
                until = parsedate_to_datetime(wait).timestamp()
                wait = str(max(1, math.ceil(until - time.time())))
        wait = self._redact(wait)
        return wait if _NUMBER.fullmatch(wait) else ""

    def _send(self, url: str, ask: Callable[[], Answer]) -> Answer:
        server = _server(url)
        self._declared_server = self._declared_server or server
        # What is asked first was declared; where to go from there, a server has said.
        is_declared = server == self._declared_server
        self._last, self._server = None, server if is_declared else self._redact(server)
        try:
            answer = ask()
        except ProbeError as stopped:
            text = stopped.observation.text if is_declared else self.hide(stopped.observation.text)
            raise ProbeError(
                stopped.observation.with_context(text=text, facts={"token_server": self._server})
            ) from None
        self._last = answer
        body = self.last_json()
        self._redact.hide(*(body[name] for name in _TOKENS if isinstance(body.get(name), str)))
        return answer

    def _hide_sent_secrets(self, data: Any, headers: Any) -> None:
        fields: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        sent = [fields[name] for name in _SECRET_FIELDS if name in fields]
        given: Mapping[str, Any] = headers or {}
        for name, value in given.items():
            if str(name).lower() in _SECRET_HEADERS and value:
                scheme, _space, credentials = str(value).partition(" ")
                sent.append(credentials if scheme.lower() in _SCHEMES else value)
        self._redact.hide(*(each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in sent))

    def _word(self, value: Any) -> str:
        return self.hide(value) if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _error_of(body: Mapping[str, Any]) -> tuple[str, str]:
    """The error and its description; some services put both into an object of their own."""
    error: Any = body.get("error")
    description: Any = body.get("error_description")
    if isinstance(error, Mapping):
        error, description = error.get("code"), description or error.get("message")
    known = error if isinstance(error, str) and _WORD.fullmatch(error) else ""
    return known, description if isinstance(description, str) else ""


def _codes(given: Any, description: str) -> list[str]:
    """Microsoft's codes, from where they belong, else from the description."""
    codes = [str(code) for code in given if isinstance(code, int)] if isinstance(given, list) else []
    codes = [code for code in codes if code.isdigit() and len(code) < 10] or _CODE.findall(description)
    return list(dict.fromkeys(codes))[:_MOST_CODES]


def _without_trace(description: str) -> str:
    """Microsoft's description without what the answer says in fields of its own too."""
    return description[:MAX_READ_LENGTH].partition("Trace ID: ")[0].rstrip()


def _with_details(text: str, facts: Mapping[str, Any]) -> str:
    """The description with what the provider's support asks for, short enough to be kept as a whole."""
    details = [f"{name} {facts[name]}" for name in ("retry_after", "trace_id", "correlation_id", "link") if facts[name]]
    tail = f" ({', '.join(details)})" if details else ""
    return text[: LONGEST_TEXT - len(tail)] + tail


def _server(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""
