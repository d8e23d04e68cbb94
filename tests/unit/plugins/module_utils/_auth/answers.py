# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP that answers what a test has laid out, and remembers what it was asked."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from peers.connectors import oauth_settings

from ansible_collections.mailroom.core.plugins.module_utils._auth.token_sources import token_source
from ansible_collections.mailroom.core.plugins.module_utils._auth.tokens import Token
from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation, ProbeError


@dataclass
class Answer:
    """One answer."""

    text: str = ""
    status_code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise OSError(f"HTTP {self.status_code}")


def as_json(value: object, status: int = 200, **headers: str) -> Answer:
    return Answer(json.dumps(value), status, headers)


def refusal(error: str, *codes: int, status: int = 400, description: str = "No.") -> Answer:
    """A refusal as Microsoft's identity platform gives it."""
    text = "".join(f"AADSTS{code}: " for code in codes[:1]) + description
    told = {"error": error, "error_description": f"{text} Trace ID: t-1 Correlation ID: c-1 Timestamp: now"}
    return as_json({**told, "error_codes": list(codes), "trace_id": "t-1", "correlation_id": "c-1"}, status)


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    url: str
    form: Mapping[str, Any]
    headers: Mapping[str, Any]
    params: Mapping[str, Any]


Reaction = Union[Answer, Exception, Callable[[Asked], Answer]]


class Http:
    """Answers by the end of an address; the last reaction to it is given again and again."""

    def __init__(self, **reactions: Reaction | list[Reaction]) -> None:
        self.asked: list[Asked] = []
        self._reactions = {name: each if isinstance(each, list) else [each] for name, each in reactions.items()}

    def get(self, url: str, params: Any = None, headers: Any = None, **_more: Any) -> Answer:
        return self._answer(Asked("GET", url, {}, headers or {}, params or {}))

    def post(self, url: str, data: Any = None, params: Any = None, headers: Any = None, **_more: Any) -> Answer:
        form = data if isinstance(data, Mapping) else {"": data}
        return self._answer(Asked("POST", url, form, headers or {}, params or {}))

    def forms(self, name: str = "token") -> list[Mapping[str, Any]]:
        return [asked.form for asked in self.asked if name in asked.url]

    def _answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        reactions = next(each for name, each in self._reactions.items() if name in asked.url)
        reaction = reactions.pop(0) if len(reactions) > 1 else reactions[0]
        if isinstance(reaction, Exception):
            raise reaction
        return reaction(asked) if callable(reaction) else reaction


AUTHORITY = "https://login.example.com:8443"
DISCOVERY = {
    name: f"{AUTHORITY}/T/oauth2/v2.0/{end}"
    for name, end in {"authorization_endpoint": "authorize", "token_endpoint": "token"}.items()
}


def jwt(**claims: object) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "none"}, claims)]
    return b".".join([*parts, b"c2ln"]).decode()


def granted(token: str = "the-access-token", **more: object) -> Answer:
    return as_json({"access_token": token, "token_type": "Bearer", "expires_in": 3599, **more})


def entra(token: Reaction | list[Reaction], userrealm: Reaction | None = None) -> Http:
    """Microsoft's identity platform, with this reaction to a request for a token."""
    realm = userrealm or as_json({"account_type": "Managed"})
    return Http(**{"openid-configuration": as_json(DISCOVERY), "userrealm": realm, "/token": token})


def obtain(http: Http, settings: Mapping[str, Any], secrets: Mapping[str, str], protocol: str = "imap") -> Token:
    held = {f"oauth2.{name}": Secret(value) for name, value in secrets.items()}
    return token_source(oauth_settings(settings, held), http, Redaction(held.values())).obtain(protocol)


def stopped(http: Http, settings: Mapping[str, Any], secrets: Mapping[str, str], protocol: str = "imap") -> Observation:
    """Why there was no token. No secret that was sent shows in it."""
    try:
        obtain(http, settings, secrets, protocol)
    except ProbeError as why:
        shown = f"{why} {why!r} {why.observation!r} {why.__cause__!r}"
        hidden = [*secrets.values(), *(form.get("client_assertion") for form in http.forms(""))]
        for each in hidden:
            text = each.decode() if isinstance(each, bytes) else each
            if text and len(text) >= 4 and text in shown:
                raise AssertionError("a secret is shown") from None
        return why.observation
    raise AssertionError("there is a token")
