# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the connector's floor start from: declarations, stored connectors, and a registry in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from hypothesis import Phase, settings

from ansible_collections.mailroom.core.plugins.module_utils._connector.declaration import Declaration, parse_declaration
from ansible_collections.mailroom.core.plugins.module_utils._connector.effective import resolve_preset
from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Plan, Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.planning import make_plan
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import (
    Connector,
    Purpose,
    Stamp,
    State,
    Wanted,
)
from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError

bounded = settings(
    max_examples=settings().max_examples * 60 // 100,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)

CREATED = Stamp("2026-01-02T03:04:05Z", "ada")
NOW = Stamp("2026-06-07T08:09:10Z", "grace")

PEM = "\n".join(f"-----BEGIN {what}-----\nMII=\n-----END {what}-----" for what in ("PRIVATE KEY", "CERTIFICATE"))
GOOGLE_KEY = json.dumps({"type": "service_account", "client_email": "robot@example.com", "private_key": "pem"})

_SERVER = {
    "host": "mail.example.com",
    "port": 2525,
    "security": "starttls",
    "auth": "password",
    "mechanisms": ["SCRAM-SHA-256", "PLAIN"],
    "username": "robot@example.com",
    "validate_certs": False,
    "ca_file": "/etc/mailroom/ca.pem",
    "client_cert": "/etc/mailroom/client.pem",
    "client_key": "/etc/mailroom/client.key",
    "proxy": "socks5://proxy.example.com:1080",
    "proxy_username": "proxy user",
}
_PROXY = {"proxy": "http://proxy.example.com:3128", "proxy_username": "proxy user"}

ACCEPTED: dict[str, Any] = {
    "display_name": "Alerts of production",
    "description": "For alerts.\nSecond line.",
    "enabled": True,
    "provider": "gmail",
    "from_address": "alerts@example.com",
    "from_name": "Alerts",
    "signature": "Yours,\nthe robots",
    "reply_to": "answers@example.com",
    "errors_to": "bounces@example.com",
    "cc": ["one@example.com"],
    "bcc": ["two@example.com", "three@example.com"],
    "headers": {"X-Team": "mail"},
    "test_address": "tests@example.com",
    "available_to": ["Tenant One"],
    **{f"smtp.{name}": value for name, value in _SERVER.items()},
    "smtp.uri": "smtp://mail.example.com:2525",
    "smtp.same_credentials": True,
    "smtp.relay": True,
    "smtp.ehlo_name": "robot.example.com",
    **{f"imap.{name}": value for name, value in _SERVER.items()},
    "imap.port": 993,
    "imap.mailbox": "Archive/2026",
    "graph.mailbox": "shared@example.com",
    "graph.url": "https://graph.example.com",
    "graph.save_to_sent": False,
    "graph.ca_file": "/etc/mailroom/ca.pem",
    **{f"graph.{name}": value for name, value in _PROXY.items()},
    "oauth2.tenant_id": "contoso.example.com",
    "oauth2.client_id": "11111111-2222-3333-4444-555555555555",
    "oauth2.client_secret_expires": "2027-05-31",
    "oauth2.certificate_file": "/etc/mailroom/app.pfx",
    "oauth2.assertion_file": "/run/assertion",
    "oauth2.managed_identity": "system",
    "oauth2.username": "robot@example.com",
    "oauth2.cloud": "us_gov",
    "oauth2.authority": "https://login.example.com",
    "oauth2.token_url": "https://id.example.com/oauth2/token",
    "oauth2.scope": "https://outlook.office365.com/.default offline_access",
    "oauth2.ca_file": "/etc/mailroom/ca.pem",
    **{f"oauth2.{name}": value for name, value in _PROXY.items()},
}
"""A value of every field that is not secret."""

SECRET_VALUES: dict[str, str] = {
    "smtp.password": "smtp-pass-91b2",
    "smtp.proxy_password": "smtp-proxy-77c1",
    "imap.password": "imap-pass-5d3e",
    "imap.proxy_password": "imap-proxy-a1f0",
    "graph.proxy_password": "graph-proxy-02ce",
    "oauth2.client_secret": "client-secret-6c4d",
    "oauth2.certificate": PEM,
    "oauth2.certificate_passphrase": "passphrase-9e8d",
    "oauth2.password": "oauth2-pass-3b7a",
    "oauth2.service_account": GOOGLE_KEY,
    "oauth2.proxy_password": "oauth2-proxy-e5b6",
}
"""A value of every secret."""


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """{"smtp.host": 1} as {"smtp": {"host": 1}}."""
    result: dict[str, Any] = {}
    for path, value in flat.items():
        block, _dot, inner = path.partition(".")
        if inner:
            result.setdefault(block, {})[inner] = value
        else:
            result[block] = value
    return result


def declared(flat: Mapping[str, Any] | None = None, /, *, clear: Iterable[str] = (), **fields: Any) -> Declaration:
    """A declaration without problems: of dotted paths, or of fields as a user writes them."""
    written = {"name": "alpha", **nested(flat or {}), **fields}
    empty_blocks = [name for name, value in fields.items() if value == {}]
    declaration, problems = parse_declaration(written, clear=clear, empty_blocks=empty_blocks)
    if problems:
        raise ValueError([str(problem) for problem in problems])
    return declaration


def validate_variables(written: Mapping[str, Any], **how: Any) -> list[str]:
    return [str(problem) for problem in parse_declaration(written, **how)[1]]


def sealed(secret: Secret) -> str:
    """A token that would betray its secret wherever it showed up."""
    return f"sealed<{secret.reveal()}>"


def same_secret(token: str, secret: Secret) -> bool:
    return token == sealed(secret)


def stored(flat: Mapping[str, Any] | None = None, /, **fields: Any) -> Connector:
    """A connector as a registry keeps it: valid, with its secrets sealed."""
    declaration = declared(flat, **fields)
    plan = make_plan(Request(declarations=(declaration,)), State(), same_secret, CREATED)
    return kept(plan.after.connectors[declaration.name])


def unchecked(flat: Mapping[str, Any] | None = None, /, **fields: Any) -> Connector:
    """A connector as a declaration alone makes it, validate included."""
    declaration = declared(flat, **fields)
    preset = resolve_preset(declaration.settings, {}, {})
    return kept(Connector(declaration.name, declaration.settings, preset, declaration.secrets, 1, 1, CREATED, CREATED))


def kept(connector: Connector) -> Connector:
    """The connector with its new secrets sealed."""
    secrets = {path: value if isinstance(value, str) else sealed(value) for path, value in connector.secrets.items()}
    return replace(connector, secrets=secrets)


def state_of(*connectors: Connector, default: str | None = None, bindings: Mapping[str, str] | None = None) -> State:
    """A registry's whole state; a binding is written as purpose or purpose@tenant."""
    return State(
        connectors={connector.name: connector for connector in connectors},
        default=default,
        bindings={purpose(text): name for text, name in (bindings or {}).items()},
    )


def purpose(text: str) -> Purpose:
    name, _at, tenant = text.partition("@")
    return Purpose(name, tenant)


def loaded(state: State, wanted: Wanted) -> State:
    """The part of a state that a registry loads for a request."""
    if wanted.names is None:
        return state
    purposes = set(state.bindings) if wanted.purposes is None else wanted.purposes & state.bindings.keys()
    names = {*wanted.names, *(state.bindings[each] for each in purposes)} | {name for name in [state.default] if name}
    connectors = {name: state.connectors[name] for name in state.connectors if name in names}
    return State(
        connectors=connectors,
        default=state.default,
        bindings={each: name for each, name in state.bindings.items() if each in purposes or name in connectors},
        others_enabled=any(each.enabled for name, each in state.connectors.items() if name not in names),
        all_names=lambda: list(state.connectors),
    )


def applied(state: State, plan: Plan) -> State:
    """The whole state after a plan that was made from a part of it."""
    connectors = dict(state.connectors)
    for change in plan.changes:
        if change.before:
            del connectors[change.before.name]
    for change in plan.changes:
        if change.after:
            connectors[change.after.name] = kept(change.after)
    untouched = {each: name for each, name in state.bindings.items() if each not in plan.before.bindings}
    return State(connectors=connectors, default=plan.after.default, bindings={**untouched, **plan.after.bindings})


def planned(request: Request, state: State) -> Plan:
    """The plan of a request, made from no more than the part of the state that it asks for."""
    return make_plan(request, loaded(state, request.wanted()), same_secret, NOW)


def refused(request: Request, state: State) -> list[str]:
    """What forbids a request; nothing where it is allowed."""
    try:
        planned(request, state)
    except DeclarationError as error:
        return [str(problem) for problem in error.problems]
    return []


def after(request: Request, state: State) -> State:
    """The whole state once a request was carried out."""
    return applied(state, planned(request, state))


def present(name: str, flat: Mapping[str, Any] | None = None, *, clear: Iterable[str] = (), **how: Any) -> Request:
    return Request(declarations=(declared(flat, name=name, clear=clear),), **how)


def absent(*names: str, **how: Any) -> Request:
    return Request(absent=names, **how)


def bound(**names: str) -> dict[Purpose, str]:
    return {purpose(text): name for text, name in names.items()}
