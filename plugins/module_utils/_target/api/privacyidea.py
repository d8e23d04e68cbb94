# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""privacyIDEA: an SMTP server definition, by its REST API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..._connector.secret import Secret
from ..._errors import FieldMessage
from ..api_client import ApiClient, ApiError, segment
from ..api_target import ApiTarget, Fields, Login, Place, Stored, Tested, Wanted
from ..interface import Account

_MASK = "__CENSORED__"
_TEST = "send_test_email"
_FIELDS = frozenset(("server", "port", "tls", "username", "sender"))
_SECRETS = frozenset(("password", "private_key_password"))
_IMPLICIT_TLS = "smtps://"


class Privacyidea(ApiTarget):
    """An update replaces the whole definition, and a password that is left out of it is cleared."""

    name = "privacyidea"
    title = "privacyIDEA"
    securities = ("none", "starttls", "tls")
    certificate_checks = (False,)
    supported_features = frozenset(("from_address",))
    signs_in_with_ascii = True
    readback = "resend"
    masks = frozenset((_MASK,))
    test_sends_secret = True
    destination = frozenset(("server", "port", "tls", "username"))
    logins = (frozenset(("username", "password")), frozenset(("token",)))
    right = "the admin policy actions smtpserver_read and smtpserver_write"

    def key_problems(self, keys: Mapping[str, str]) -> Iterator[FieldMessage]:
        name = keys.get("name", "")
        if "/" in name or name == _TEST:
            yield "target.name", f"cannot hold a slash or be {_TEST} in privacyIDEA, where it is a part of addresses"

    def sign_in(self, api: ApiClient, login: Login) -> None:
        api.words_of = _words
        token = login.token
        if not token and login.password:
            answer = api.post_form("/auth", {"username": login.username, "password": login.password.reveal()})
            token = api.issued_token(_value(api, answer), "token")
        api.headers["Authorization"] = token.reveal() if token else ""

    def fields(self, _place: Place, account: Account) -> Fields:
        smtp = account.smtp
        return {
            "server": f"{_IMPLICIT_TLS}{smtp.host}" if smtp.security == "tls" else smtp.host,
            "port": smtp.port,
            "tls": smtp.security == "starttls",
            "username": smtp.username if smtp.auth == "password" else "",
            "sender": account.connector.author,
        }

    def read(self, api: ApiClient, place: Place) -> Stored | None:
        value = _value(api, api.get("/smtpserver/"))
        found = value.get(place.name) if isinstance(value, dict) else None
        if not isinstance(found, dict):
            return None
        return Stored(
            place.name,
            {name: each for name, each in found.items() if name in _FIELDS},
            Secret(str(found.get("password") or "")),
            # What is shown in place of a secret is never sent back; the key's own stays where it is left out.
            {name: each for name, each in found.items() if name not in _FIELDS | _SECRETS and each is not None},
        )

    def create(self, api: ApiClient, place: Place, wanted: Wanted) -> None:
        self._write(api, place.name, wanted, {})

    def update(self, api: ApiClient, stored: Stored, wanted: Wanted, _changed: frozenset[str]) -> None:
        self._write(api, stored.id, wanted, dict(stored.other))

    def _write(self, api: ApiClient, identifier: str, wanted: Wanted, other: dict[str, Any]) -> None:
        body = {**other, **wanted.fields, "password": wanted.secret.reveal() if wanted.secret else ""}
        _value(api, api.request("POST", f"/smtpserver/{segment(identifier)}", body))

    def remove(self, api: ApiClient, stored: Stored) -> None:
        _value(api, api.request("DELETE", f"/smtpserver/{segment(stored.id)}"))

    def test(self, api: ApiClient, place: Place, _account: Account, wanted: Wanted, to: str) -> Tested:
        """It tests what it is sent, not what it holds, and says nothing of why a test fails."""
        secret = wanted.secret.reveal() if wanted.secret else ""
        body = {**wanted.fields, "identifier": place.name, "recipient": to, "password": secret}
        try:
            sent = _value(api, api.request("POST", f"/smtpserver/{_TEST}", body))
        except ApiError as error:
            if error.status != 500:
                raise
            return Tested("failed", error.words)
        return Tested("ok" if sent is True else "failed")


def _value(api: ApiClient, answer: Any) -> Any:
    result = answer.get("result") if isinstance(answer, dict) else None
    if not isinstance(result, dict) or result.get("status") is not True:
        raise api.error("url: what answers there is not the API of privacyIDEA", words=_words(answer))
    return result.get("value")


def _words(body: Any) -> str:
    result = body.get("result") if isinstance(body, dict) else None
    error = result.get("error") if isinstance(result, dict) else None
    return str(error.get("message") or "") if isinstance(error, dict) else ""
