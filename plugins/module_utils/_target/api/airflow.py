# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Apache Airflow: a connection of the type smtp or imap, by its REST API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..._connector.resolved import Protocol, ResolvedConnector
from ..._connector.secret import Secret
from ..._errors import FieldMessage, printable
from ..api_client import ApiClient, ApiError, parse_json, segment
from ..api_target import ApiTarget, Fields, Login, Place, Stored, Tested, Wanted
from ..interface import Account, Option
from ..mail_replies import MAX_READ_LENGTH, observation_in

_MASK = "***"
_CONNECTIONS = "/api/v2/connections"
_COLUMNS = ("conn_type", "host", "port", "login")
_OTHER_COLUMNS = ("description", "schema")
_OURS: Mapping[str, Mapping[str, Any]] = {
    "smtp": {
        "disable_ssl": False,
        "disable_tls": False,
        "ssl_context": "default",
        "from_email": "",
        "auth_type": "basic",
    },
    "imap": {"use_ssl": True, "ssl_context": "default"},
}
"""What a connector decides among the keys of `extra`, with what Airflow takes for granted."""
_TOKENS = frozenset(("access_token", "client_id", "client_secret", "tenant_id", "scope"))
"""The keys of `extra` that sign in otherwise than with a password: they go with `auth_type`."""
_ID = re.compile(r"[\w.-]{1,200}\Z")
_NO_TEST = re.compile("(?:implement|inherit).* test_connection")


class Airflow(ApiTarget):
    """What an update leaves out stays, the password among it; the test signs in and sends nothing."""

    name = "airflow"
    title = "Airflow"
    protocols = ("smtp", "imap")
    securities = ("none", "starttls", "tls")
    supported_features = frozenset(("from_address",))
    options = (Option("protocol", choices=("smtp", "imap")),)
    signs_in_with_ascii = True
    readback = "mask"
    masks = frozenset((_MASK,))
    shows_whether_stored = True
    test_sends_secret = True
    destination = frozenset(("host", "port", "login", "disable_ssl", "disable_tls", "use_ssl", "ssl_context"))
    logins = (frozenset(("username", "password")), frozenset(("token",)))
    right = "to read, create, change and delete connections, as the role Op has it"

    def written_protocols(self, options: Mapping[str, Any]) -> tuple[Protocol, ...]:
        """A connection is for one server: that which sends, unless the option says otherwise."""
        return ("imap",) if options.get("protocol") == "imap" else ("smtp",)

    def unusable(self, connector: ResolvedConnector, options: Mapping[str, Any]) -> FieldMessage | None:
        if options.get("protocol") == "imap" and connector.enabled and connector.smtp and not connector.imap:
            return "options.protocol", "is imap, and the connector only sends mail"
        return super().unusable(connector, options)

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        yield from super().unsupported_values(account)
        for server in account.endpoints:
            if server.protocol == "imap" and server.security == "starttls":
                yield "imap.security", f"must be one of none, tls for {self.name}"

    def key_problems(self, keys: Mapping[str, str]) -> Iterator[FieldMessage]:
        if not _ID.match(keys.get("name", "")):
            yield "target.name", "must be 1 to 200 letters, digits, underscores, dots or dashes"

    def sign_in(self, api: ApiClient, login: Login) -> None:
        api.words_of = _words
        token = login.token
        if not token and login.password:
            body = {"username": login.username, "password": login.password.reveal()}
            token = api.issued_token(api.request("POST", "/auth/token", body), "access_token")
        api.headers["Authorization"] = f"Bearer {token.reveal() if token else ''}"

    def fields(self, _place: Place, account: Account) -> Fields:
        (server,) = account.endpoints
        fields: dict[str, Any] = {
            "conn_type": server.protocol,
            "host": server.host,
            "port": server.port,
            "login": server.username if server.auth == "password" else "",
            "ssl_context": "default" if server.trust.validate else "none",
        }
        if server.protocol == "imap":
            return {**fields, "use_ssl": server.security == "tls"}
        return {
            **fields,
            "disable_ssl": server.security != "tls",
            # This is STARTTLS, which is tried over implicit TLS, too, unless it is off.
            "disable_tls": server.security != "starttls",
            "from_email": account.connector.author,
            "auth_type": "basic",
        }

    def read(self, api: ApiClient, place: Place) -> Stored | None:
        try:
            found = api.get(f"{_CONNECTIONS}/{segment(place.name)}")
        except ApiError as error:
            if error.status != 404 or "was not found" not in error.words:
                raise
            return None
        if not isinstance(found, dict) or not isinstance(found.get("conn_type"), str):
            raise api.error("url: what answers there is not the API of Airflow")
        if found["conn_type"] not in _OURS:
            raise ApiError(f"target.name: {place.name} is a connection of another type than smtp or imap.")
        extra = _extra(place.name, found.get("extra"))
        fields = {name: found.get(name) if found.get(name) is not None else "" for name in _COLUMNS}
        fields.update({name: extra.get(name, usual) for name, usual in _OURS[found["conn_type"]].items()})
        other = {"extra": extra, **{name: found.get(name) for name in _OTHER_COLUMNS}}
        return Stored(place.name, fields, Secret(str(found.get("password") or "")), other)

    def create(self, api: ApiClient, place: Place, wanted: Wanted) -> None:
        api.request("POST", _CONNECTIONS, {"connection_id": place.name, **_body(wanted, {})})

    def update(self, api: ApiClient, stored: Stored, wanted: Wanted, changed: frozenset[str]) -> None:
        is_made_anew = self.secret_field in changed and not wanted.secret
        changes_extra = bool(changed - {self.secret_field, *_COLUMNS})
        kept = _kept_extra(api, stored) if changes_extra or is_made_anew else {}
        others = {name: stored.other[name] for name in _OTHER_COLUMNS if stored.other.get(name) is not None}
        if is_made_anew:
            _refuse_masks(api, stored, others, "the connection")
        body = {"connection_id": stored.id, **_body(wanted, kept)}
        if is_made_anew:
            # Nothing clears a password that Airflow holds, so the connection is made anew without one.
            api.request("DELETE", f"{_CONNECTIONS}/{segment(stored.id)}")
            api.request("POST", _CONNECTIONS, {**body, **others})
            return
        mask = [name for name in (*_COLUMNS, self.secret_field) if name in changed]
        if changes_extra:
            mask.append("extra")
        needed = {"connection_id", "conn_type", *mask}
        sent = {name: value for name, value in body.items() if name in needed}
        api.request("PATCH", f"{_CONNECTIONS}/{segment(stored.id)}?update_mask={'&update_mask='.join(mask)}", sent)

    def remove(self, api: ApiClient, stored: Stored) -> None:
        api.request("DELETE", f"{_CONNECTIONS}/{segment(stored.id)}")

    def test(self, api: ApiClient, place: Place, account: Account, wanted: Wanted, _to: str) -> Tested:
        """It tests what it is sent; that it has tests at all is up to whoever runs it."""
        body = {"connection_id": place.name, **_body(wanted, {})}
        try:
            answer = api.request("POST", f"{_CONNECTIONS}/test", body)
        except ApiError as error:
            if error.status == 403 and "test" in error.words.lower():
                return Tested("not_supported", error.words)
            raise
        words = str(answer.get("message") or "")[:MAX_READ_LENGTH] if isinstance(answer, dict) else ""
        text = api.redact(words)
        if isinstance(answer, dict) and answer.get("status") is True:
            return Tested("ok", text)
        if _NO_TEST.search(words):
            return Tested("not_supported", text)
        (server,) = account.endpoints
        return Tested("failed", text, observation_in(text, server))


def _kept_extra(api: ApiClient, stored: Stored) -> dict[str, Any]:
    """The keys of `extra` that are not ours, unless they hold what is not shown and would be lost."""
    ours = {name for names in _OURS.values() for name in names} | _TOKENS
    kept = {name: value for name, value in stored.other["extra"].items() if name not in ours}
    _refuse_masks(api, stored, kept, "extra")
    return kept


def _refuse_masks(api: ApiClient, stored: Stored, kept: Mapping[str, Any], where: str) -> None:
    """What holds a mask, at any depth and in any text, would be stored as it is shown."""
    masked = sorted(name for name, value in kept.items() if _MASK in json.dumps({name: value}))
    if masked:
        raise api.error(
            f"target.name: the connection {stored.id} holds secrets in {printable(', '.join(masked))} of {where} as"
            " well, which Airflow does not show, so that they would be lost: remove them there first"
        )


def _body(wanted: Wanted, kept: Mapping[str, Any]) -> dict[str, Any]:
    columns = {name: wanted.fields[name] for name in _COLUMNS}
    extra = {name: value for name, value in wanted.fields.items() if name not in _COLUMNS}
    password = wanted.secret.reveal() if wanted.secret else None
    return {**columns, "password": password, "extra": json.dumps({**kept, **extra})}


def _extra(name: str, text: Any) -> dict[str, Any]:
    try:
        extra = parse_json(text) if text else None
    except (TypeError, ValueError):
        extra = text
    if extra and not isinstance(extra, dict):
        raise ApiError(f"target.name: extra of the connection {name} is no JSON object, so it cannot be kept.")
    return extra or {}


def _words(body: Any) -> str:
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, dict):
        detail = detail.get("reason") or detail.get("message")
    if isinstance(detail, list):
        detail = "; ".join(str(each.get("msg")) for each in detail if isinstance(each, dict))
    return str(detail or "")
