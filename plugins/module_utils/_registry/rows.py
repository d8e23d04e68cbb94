# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""From rows of the registry to connectors and back. What damage or a change from outside may have left is found first.

Checked is the shape: that each value has the type and form in which some version has written it. A value of the right
shape that a check of this version refuses was written by an earlier version, and is no damage.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, NoReturn

from .._connector import checks
from .._connector.fields import BLOCKS, BY_NAME, BY_PATH, SECRETS, SECURITY, Field
from .._connector.records import ApplicationRecord, Health, Run
from .._connector.state import Connector, Damage, Proof, Purpose, Stamp
from .sealing import FORM, OLD_FORM, Sealed
from .storage import (
    MOST_CHARACTERS,
    ApplicationRow,
    BindingRow,
    ConnectorRow,
    HealthRow,
    RevisionRow,
    RunRow,
    SecretRow,
)

_MOST_IN_TEXT = 65_536
_MOST_REVISIONS = 2**53
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z", re.ASCII)
_IDENTITY = re.compile(r"[0-9a-f]{32}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_VISIBLE = re.compile(r"[!-~]+\Z")
_WITH_LINES = ("description", "signature")
_SERVER = ("host", "port", "security")
# What no code depends on: a provider is resolved when it is written, and its name may be dropped in a later version.
_ANY_CHOICE = ("provider",)


_PARSED_AT_USE: dict[str, checks.Check] = {
    "uri": checks.parse_smtp_uri,
    "proxy": checks.parse_proxy,
    "url": partial(checks.parse_url, schemes=("https",), allowed="must be https://host or https://host:port"),
}


class _Damaged(Exception):
    def __init__(self, field: str, what: str) -> None:
        self.field = field
        self.what = what
        super().__init__(what)


def read_connector(row: ConnectorRow, secrets: Mapping[Any, str | None]) -> Connector | Damage:
    """The connector in a row with its secrets, None for one that is damaged; or what is wrong with it."""
    is_named = _is(checks.connector_name, row.name)
    try:
        if not is_named:
            _refuse("name", "must be that of a connector")
        return _connector(row, secrets)
    except _Damaged as damaged:
        name = row.name if is_named else f"number {row.id}"
        return Damage(name, is_named, damaged.field, damaged.what, row.enabled != 0)


def read_binding(row: BindingRow) -> tuple[Purpose, str | None] | None:
    """A purpose and its connector's name, None where that has none; None where the purpose's own name is damaged."""
    if not _is(checks.purpose_name, row.purpose) or not (row.tenant == "" or _is(checks.tenant_name, row.tenant)):
        return None
    return Purpose(row.purpose, row.tenant), row.connector if _is(checks.connector_name, row.connector) else None


def read_revision(row: RevisionRow) -> dict[str, Any]:
    """One entry of a history. What is damaged of it is None."""
    entry: dict[str, Any] = {"revision": row.revision, "at": None, "by": None, "before": None, "after": None}
    try:
        sides = {"before": _document("before", row.before), "after": _document("after", row.after)}
        return {**entry, "at": _stamp("at", row.at), "by": _text("by", row.actor), **sides}
    except _Damaged:
        return entry


def read_sealed(row: SecretRow) -> Sealed | None:
    """How a secret is sealed; None where the row is damaged."""
    sealed = row.sealed
    texts = [sealed.key_id, sealed.fingerprint, sealed.token, *([sealed.mac] if sealed.form == FORM else [])]
    is_sound = sealed.form in (OLD_FORM, FORM) and all(isinstance(each, str) and _VISIBLE.match(each) for each in texts)
    return sealed if is_sound else None


def read_application(row: ApplicationRow) -> ApplicationRecord | None:
    """The record of an application; None where it is damaged."""
    bound = read_binding(BindingRow(row.purpose, row.tenant, row.connector)) if row.purpose else None
    if not _is(checks.connector_name, row.connector) or (row.purpose and bound is None):
        return None
    try:
        reads = json.loads(_text("reads", row.reads))
        columns = (row.app, row.host, row.place, row.settings, row.destination)
        app, host, place, settings, destination = (_text("", each) for each in columns)
        key_id, fingerprint = (None if each is None else _text("", each) for each in (row.key_id, row.fingerprint))
        return ApplicationRecord(
            app,
            host,
            place,
            row.connector,
            purpose=bound[0] if bound else None,
            reads=tuple(_text("reads", path) for path in reads),
            settings=settings,
            written=Stamp(_stamp("written_at", row.written_at), _text("written_by", row.written_by)),
            destination=destination,
            key_id=key_id,
            fingerprint=fingerprint,
        )
    except (_Damaged, ValueError, TypeError, RecursionError):
        return None


def application_row(application: ApplicationRecord) -> ApplicationRow:
    """The record of an application as it is written."""
    return ApplicationRow(
        *application.key,
        application.connector,
        purpose=application.purpose.name if application.purpose else "",
        tenant=application.purpose.tenant if application.purpose else "",
        reads=json.dumps(application.reads),
        settings=application.settings,
        destination=application.destination,
        key_id=application.key_id,
        fingerprint=application.fingerprint,
        written_at=application.written.at,
        written_by=application.written.by,
    )


def read_health(row: HealthRow) -> Health | None:
    """The health of a connector, without its tests; None where it is damaged."""
    try:
        return Health(
            _status(row.status),
            _text("verdict", row.verdict),
            since=_stamp("since", row.since),
            checked_at=_stamp("checked_at", row.checked_at),
            last_ok_at=_stamp("last_ok_at", row.last_ok_at) if row.last_ok_at else "",
            failures_in_a_row=_count("failures_in_a_row", row.failures_in_a_row),
            expires=_stamp("expires", row.expires) if row.expires else "",
            host=_text("host", row.host),
        )
    except _Damaged:
        return None


def health_row(name: str, health: Health) -> HealthRow:
    """The health of a connector as it is written."""
    values = health._asdict()
    del values["runs"]
    return HealthRow(name, **{**values, "last_ok_at": health.last_ok_at or None, "expires": health.expires or None})


def read_run(row: RunRow) -> Run | None:
    """One test; None where it is damaged."""
    try:
        at, host = _stamp("at", row.at), _text("host", row.host)
        return Run(at, host, _status(row.status), _text("verdict", row.verdict), _count("ms", row.ms))
    except _Damaged:
        return None


def connector_row(connector: Connector, row_id: int, identity: str) -> ConnectorRow:
    """A connector as it is written."""
    proof = connector.proof
    return ConnectorRow(
        id=row_id,
        identity=identity,
        name=connector.name,
        enabled=int(connector.enabled),
        is_default=0,
        settings=json.dumps(connector.settings),
        preset=json.dumps(connector.preset),
        revision=connector.revision,
        sending_revision=connector.sending_revision,
        created_at=connector.created.at,
        created_by=connector.created.by,
        updated_at=connector.updated.at,
        updated_by=connector.updated.by,
        proven_revision=proof.revision if proof else None,
        proven_at=proof.at if proof else None,
        proven_to=proof.to if proof else None,
    )


def _connector(row: ConnectorRow, secrets: Mapping[Any, str | None]) -> Connector:
    for column in ("enabled", "is_default"):
        if getattr(row, column) not in (0, 1):
            _refuse(column, "must be 0 or 1")
    if not isinstance(row.identity, str) or not _IDENTITY.match(row.identity):
        _refuse("identity", "must be 32 hexadecimal digits")
    settings = _document("settings", row.settings)
    _check_settings(settings)
    if settings.get("enabled", True) != bool(row.enabled):
        _refuse("enabled", "is not what the settings say")
    preset = _preset(row.preset)
    _check_servers(settings, preset)
    tokens: dict[str, str] = {}
    for path, token in secrets.items():
        if path not in SECRETS:
            _refuse(_shown(path), "is no field for a secret")
        if token is None:
            _refuse(path, "must be a sealed secret")
        tokens[path] = token
    return Connector(
        name=row.name,
        settings=settings,
        preset=preset,
        secrets=tokens,
        revision=_revision("revision", row.revision, _MOST_REVISIONS),
        sending_revision=_revision("sending_revision", row.sending_revision, row.revision),
        created=Stamp(_stamp("created_at", row.created_at), _text("created_by", row.created_by)),
        updated=Stamp(_stamp("updated_at", row.updated_at), _text("updated_by", row.updated_by)),
        proof=_proof(row),
        identity=row.identity,
    )


def _check_settings(settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        known = BY_NAME.get(name)
        if known is None:
            _refuse(_shown(name), "is no field of a connector")
        elif name in BLOCKS:
            if not isinstance(value, dict):
                _refuse(name, "must be a dictionary")
            for key, content in value.items():
                path = f"{name}.{key}"
                if path not in BY_PATH:
                    _refuse(f"{name}.{_shown(key)}", "is no field of a connector")
                _check_value(BY_PATH[path], path, content)
        else:
            _check_value(known, name, value)


def _check_value(field: Field, path: str, value: Any) -> None:
    if field.secret:
        _refuse(path, "is a secret and lies open in the registry")
    elif field.type == "bool":
        _check(checks.flag, path, value)
    elif field.type == "int":
        # The one number is a port: outside its range nothing can connect.
        _check(field.check, path, value)
    elif field.type == "list":
        if not isinstance(value, list):
            _refuse(path, "must be a list")
        for each in value:
            _check_text(field, path, each)
    elif field.type == "dict":
        if not isinstance(value, dict):
            _refuse(path, "must be a dictionary")
        for text in (*value, *value.values()):
            _check_text(field, path, text)
    else:
        _check_text(field, path, value)


def _check_text(field: Field, path: str, value: Any) -> None:
    _text(path, value, lines=path in _WITH_LINES)
    if field.choices and field.name not in _ANY_CHOICE:
        _check(checks.one_of(*field.choices), path, value)
    if field.name in _PARSED_AT_USE:
        _check(_PARSED_AT_USE[field.name], path, value)


def _check_servers(settings: Mapping[str, Any], preset: Mapping[str, Any]) -> None:
    """What every version has asked for, so that each block names a server."""
    for block in ("smtp", "imap"):
        if block in settings and not {"host", "uri"} & settings[block].keys() and block not in preset:
            _refuse(f"{block}.host", "is missing")
    if "graph" in settings:
        if {"smtp", "imap"} & settings.keys():
            _refuse("graph", "must not stand beside smtp or imap")
        if "oauth2" not in settings:
            _refuse("oauth2", "is missing")
        if "mailbox" not in settings["graph"] and "username" not in settings["oauth2"]:
            _refuse("graph.mailbox", "is missing")


def _preset(text: Any) -> dict[str, dict[str, Any]]:
    """The servers that a provider's preset fills."""
    preset = _document("preset", text)
    for block, server in preset.items():
        if block not in ("smtp", "imap") or not isinstance(server, dict) or set(server) - set(_SERVER):
            _refuse("preset", "must hold the servers for smtp and imap")
        _text("preset", server.get("host"))
        _check(checks.number(1, 65535), "preset", server.get("port"))
        _check(checks.one_of(*SECURITY), "preset", server.get("security"))
    return preset


def _proof(row: ConnectorRow) -> Proof | None:
    if row.proven_revision is None:
        return None
    revision = _revision("proven_revision", row.proven_revision, row.revision)
    return Proof(revision, _stamp("proven_at", row.proven_at), _text("proven_to", row.proven_to))


def _document(column: str, text: Any) -> dict[str, Any]:
    """A JSON object, with nothing in it that JSON does not know."""
    if not isinstance(text, str):
        _refuse(column, f"must be text of at most {MOST_CHARACTERS} characters")
    try:
        document = _JSON.decode(text)
    except (ValueError, RecursionError):
        _refuse(column, "must be JSON")
    if not isinstance(document, dict):
        _refuse(column, "must be a JSON object")
    return document


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)


def _text(field: str, value: Any, *, lines: bool = False) -> str:
    unwanted = _CONTROL_BUT_LINES if lines else _CONTROL
    if not isinstance(value, str):
        _refuse(field, "must be text")
    if len(value) > _MOST_IN_TEXT or unwanted.search(value):
        _refuse(field, "must be text without control characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        _refuse(field, "must be valid Unicode text")
    return value


def _stamp(field: str, value: Any) -> str:
    try:
        if not _STAMP.match(value):
            raise ValueError
        datetime.fromisoformat(value[:-1])
    except (TypeError, ValueError):
        _refuse(field, "must be a time such as 2030-12-31T23:59:59Z")
    return str(value)


def _revision(field: str, value: Any, most: int) -> int:
    if not isinstance(value, int) or not 1 <= value <= most:
        _refuse(field, f"must be a whole number from 1 to {most}")
    return value


def _count(field: str, value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        _refuse(field, "must be a whole number")
    return value


def _status(value: Any) -> Any:
    if value not in ("ok", "warn", "fail"):
        _refuse("status", "must be ok, warn or fail")
    return value


def _check(check: checks.Check, field: str, value: Any) -> None:
    try:
        check(value)
    except checks.InvalidValueError as refused:
        _refuse(field, str(refused))


def _is(check: checks.Check, value: Any) -> bool:
    return not checks.run_check(check, value, "", "")


def _refuse(field: str, what: str) -> NoReturn:
    raise _Damaged(field, what)


def _shown(name: Any) -> str:
    return "".join(char if char.isprintable() and char.isascii() else "?" for char in str(name)[:60])
