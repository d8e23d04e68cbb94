# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What goes to and from a token endpoint: it is overheard, so that no secret of it is ever shown again."""

from __future__ import annotations

import base64
import html
import json
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

from .._connector.secret import HIDDEN, Secret
from .._verdict.observed import Kind, Signal, Stopped
from .claims import claims_of
from .tokens import Answer, Http, Token

SHORTEST = 4
LONGEST_TEXT = 480
LONGEST_TOKEN = 64 * 1024
DOCUMENTATION = "https://login.microsoftonline.com/error?code="

_SECRET_FIELDS = ("client_secret", "client_assertion", "assertion", "password")
_SECRET_HEADERS = ("authorization", "secret", "x-identity-header")
_TOKENS = ("access_token", "refresh_token", "id_token")
_JWT = re.compile(r"eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)*")
_BEARER = re.compile(r"[!-~]+")
_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_CODE = re.compile(r"AADSTS(\d{1,9})")
_SAID_TWICE = re.compile(r"\s*Trace ID: .*", re.DOTALL)
_MOST_CODES = 5
_NUMBER = re.compile("[0-9]{1,6}")


class Exchange:
    """HTTP for one token. It remembers the last answer, and hides all secrets that were sent or received."""

    def __init__(self, http: Http, secrets: Iterable[Secret], kind: Kind = "token") -> None:
        self._http = http
        self._kind = kind
        self._hidden: set[str] = set()
        self._last: Answer | None = None
        self._server = ""
        for secret in secrets:
            self._hide(secret.reveal())

    def get(self, url: str, params: Any = None, headers: Any = None, **more: Any) -> Answer:
        self._overhear(None, headers)
        return self._noted(url, lambda: self._http.get(url, params=params, headers=headers, **more))

    def post(self, url: str, data: Any = None, params: Any = None, headers: Any = None, **more: Any) -> Answer:
        self._overhear(data, headers)
        return self._noted(url, lambda: self._http.post(url, data=data, params=params, headers=headers, **more))

    def close(self) -> None:
        """The connection belongs to whom it came from."""

    def answered(self) -> dict[str, Any]:
        """The JSON object of the last answer; empty where there is none."""
        try:
            told = json.loads(self._last.text) if self._last else {}
        except (ValueError, RecursionError):
            return {}
        return told if isinstance(told, dict) else {}

    def token(self, told: Any) -> Token:
        """The token of an answer."""
        value = told.get("access_token") if isinstance(told, Mapping) else None
        if not value or not isinstance(told, Mapping):
            raise self._refusal(told if isinstance(told, Mapping) else {}, "an answer without a token")
        if not isinstance(value, str) or not _BEARER.fullmatch(value) or len(value) > LONGEST_TOKEN:
            raise self._refusal({}, "a token that cannot be sent")
        if str(told.get("token_type") or "bearer").lower() != "bearer":
            raise self._refusal({}, "a token of a type that is not known")
        self._hide(value)
        return Token(Secret(value), claims_of(value, self.hide))

    def failed(self, error: Exception) -> Stopped:
        """What a library's error stands for: what the server answered last, else the error itself."""
        return self._refusal(self.answered(), f"{type(error).__name__}: {error}")

    def hide(self, text: str) -> str:
        for form in sorted(self._hidden, key=len, reverse=True):
            text = text.replace(form, HIDDEN)
        return _JWT.sub(HIDDEN, text)

    def _refusal(self, told: Mapping[str, Any], otherwise: str) -> Stopped:
        error, description = _error_of(told)
        codes = _codes(told.get("error_codes"), description)
        status = self._last.status_code if self._last and self._last.status_code >= 300 else None
        if self._last and not self.answered():
            otherwise = f"an answer that is not JSON (HTTP status {self._last.status_code})"
        facts = {
            "token_server": self._server,
            "error": self._word(error),
            "error_codes": codes,
            "trace_id": self._word(told.get("trace_id")),
            "correlation_id": self._word(told.get("correlation_id")),
            "http_status": status,
            "retry_after": self._retry_after(),
            "link": f"{DOCUMENTATION}{codes[0]}" if codes else "",
        }
        text = _with_details(self.hide(_SAID_TWICE.sub("", description) or error or otherwise), facts)
        words = [self._word(error), self._word(told.get("suberror")), *codes]
        enhanced = " ".join(word for word in words if word)
        known = {name: value for name, value in facts.items() if value}
        return Stopped(Signal(self._kind, code=status, enhanced=enhanced, text=text, facts=known))

    def _retry_after(self) -> str:
        """Seconds to wait, as the provider says them: as a number, or as the date until which to wait."""
        told = str(self._last.headers.get("Retry-After") or "").strip() if self._last else ""
        if not told.isdecimal():
            with suppress(ValueError, TypeError, OverflowError):
                until = parsedate_to_datetime(told).timestamp()
                told = str(max(1, math.ceil(until - time.time())))
        return told if _NUMBER.fullmatch(told) else ""

    def _noted(self, url: str, ask: Callable[[], Answer]) -> Answer:
        self._last, self._server = None, _server(url)
        try:
            answer = ask()
        except Stopped as stopped:
            text = self.hide(stopped.signal.text)
            raise Stopped(stopped.signal.seen(text=text, facts={"token_server": self._server})) from None
        self._last = answer
        told = self.answered()
        for name in _TOKENS:
            if isinstance(told.get(name), str):
                self._hide(told[name])
        return answer

    def _overhear(self, data: Any, headers: Any) -> None:
        fields: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        sent = [fields[name] for name in _SECRET_FIELDS if name in fields]
        given: Mapping[str, Any] = headers or {}
        for name, value in given.items():
            if str(name).lower() in _SECRET_HEADERS and value:
                sent += [value, str(value).partition(" ")[2]]
        for value in sent:
            self._hide(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))

    def _hide(self, value: str) -> None:
        self._hidden.update(form for form in _spellings(value) if len(form) >= SHORTEST)

    def _word(self, value: Any) -> str:
        return self.hide(value) if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _spellings(value: str) -> Iterator[str]:
    encoded = base64.b64encode(value.encode("utf-8", "replace")).decode("ascii")
    quoted = quote(value, safe="", errors="replace")
    yield from (value, quoted, quoted.replace("%20", "+"), encoded, encoded.rstrip("="), html.escape(value))
    yield from (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1])


def _error_of(told: Mapping[str, Any]) -> tuple[str, str]:
    """The error and its description; some services put both into an object of their own."""
    error: Any = told.get("error")
    description: Any = told.get("error_description")
    if isinstance(error, Mapping):
        error, description = error.get("code"), description or error.get("message")
    known = error if isinstance(error, str) and _WORD.fullmatch(error) else ""
    return known, description if isinstance(description, str) else ""


def _codes(given: Any, description: str) -> list[str]:
    """Microsoft's codes, from where they belong, else from the description."""
    codes = [str(code) for code in given if isinstance(code, int)] if isinstance(given, list) else []
    codes = [code for code in codes if code.isdigit() and len(code) < 10] or _CODE.findall(description)
    return list(dict.fromkeys(codes))[:_MOST_CODES]


def _with_details(text: str, facts: Mapping[str, Any]) -> str:
    """The description with what the provider's support asks for, short enough to be kept as a whole."""
    details = [f"{name} {facts[name]}" for name in ("retry_after", "trace_id", "correlation_id", "link") if facts[name]]
    tail = f" ({', '.join(details)})" if details else ""
    printable = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return printable[: LONGEST_TEXT - len(tail)] + tail


def _server(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""
