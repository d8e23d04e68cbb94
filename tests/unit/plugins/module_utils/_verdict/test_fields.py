# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The field to look at first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

from ansible_collections.mailroom.core.plugins.module_utils._connector.fields import FIELDS as DECLARED_FIELDS
from ansible_collections.mailroom.core.plugins.module_utils._verdict.diagnosis import diagnose
from ansible_collections.mailroom.core.plugins.module_utils._verdict.fields import (
    ALTERNATIVES,
    EXCEPTIONS,
    FIELDS,
    field_of,
)
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import KINDS, Observation
from ansible_collections.mailroom.core.plugins.module_utils._verdict.table import REMEDIES


def _paths(fields: Any, prefix: str = "") -> Iterator[str]:
    for field in fields:
        yield prefix + field.name
        yield from _paths(field.fields or (), f"{prefix}{field.name}.")


PATHS = set(_paths(DECLARED_FIELDS))
SMTP = {"smtp": {"host": "mail.example.com", "port": 587, "username": "ann@example.com"}, "from_address": "a@b.example"}
ALIKE = {"smtp": {**SMTP["smtp"], "same_credentials": True}, "imap": {"username": "ann"}}  # type: ignore[dict-item]
OAUTH2 = {**SMTP, "oauth2": {"tenant_id": "t", "client_id": "c", "client_secret": None}}
GRAPH = {"graph": {"mailbox": "ann@example.com"}, "oauth2": OAUTH2["oauth2"]}


def test_every_verdict_has_its_field_or_none() -> None:
    assert set(FIELDS) == set(REMEDIES)
    assert {verdict for verdict, _about in EXCEPTIONS} <= set(REMEDIES)


def test_every_field_that_is_named_can_be_declared() -> None:
    templates = {each for each in (*FIELDS.values(), *EXCEPTIONS.values()) if each and each != "<recipient>"}
    for template in templates:
        group = re.search(r"<(\w+)>", template)
        for name in ALTERNATIVES[group[1]] if group else ("",):
            path = re.sub(r"<\w+>", name, template)
            blocks = ("smtp", "imap", "graph") if "{" in path else ("",)
            assert path.endswith(".") or any(re.sub(r"\{\w+\}", block, path) in PATHS for block in blocks), path


CASES: dict[str, tuple[Observation, dict[str, Any], str | None]] = {
    "unknown name": (Observation("not_found", "dns", "smtp"), SMTP, "smtp.host"),
    "unknown name in a uri": (Observation("not_found", "dns", "smtp"), {"smtp": {"uri": "smtp://x"}}, "smtp.uri"),
    "refused": (Observation("refused", "tcp", "imap"), {}, "imap.port"),
    "timed out": (Observation("timeout", "tcp", "smtp"), SMTP, "smtp.port"),
    "mismatch": (Observation("speaks_tls", "greeting", "smtp"), SMTP, "smtp.security"),
    "untrusted": (Observation("certificate", "tls", "smtp", 20), SMTP, "smtp.ca_file"),
    "another name": (Observation("certificate", "tls", "smtp", 62), SMTP, "smtp.host"),
    "expired": (Observation("certificate", "tls", "smtp", 10), SMTP, None),
    "password": (Observation("reply", "auth", "smtp", 535, "5.7.8", "bad credentials"), SMTP, "smtp.password"),
    "password of imap": (Observation("reply", "auth", "smtp", 535, "5.7.8", "bad"), ALIKE, "imap.password"),
    "nobody signs in": (
        Observation("reply", "sender", "smtp", 530, "", "Authentication required"),
        SMTP,
        "smtp.username",
    ),
    "no mechanism": (Observation("no_mechanism", "auth", "smtp"), SMTP, "smtp.mechanisms"),
    "mailbox": (Observation("reply", "select", "imap", None, "NO [NONEXISTENT]", "none"), {}, "imap.mailbox"),
    "sender": (Observation("reply", "sender", "smtp", 550, "5.1.7", "sender refused"), SMTP, "from_address"),
    "envelope sender": (
        Observation("reply", "sender", "smtp", 550, "5.1.7", "sender refused"),
        {**SMTP, "errors_to": "bounces@example.com"},
        "errors_to",
    ),
    "recipient": (Observation("reply", "recipient", "smtp", 550, "5.1.1", "user unknown"), SMTP, "test_address"),
    "relaying": (Observation("reply", "recipient", "smtp", 554, "5.7.1", "relay access denied"), SMTP, "smtp.username"),
    "relaying for others": (Observation("relay_refused", "sender", "smtp", 550, "", "no"), SMTP, "smtp.relay"),
    "helo": (Observation("reply", "ehlo", "smtp", 501, "", "invalid domain name"), SMTP, "smtp.ehlo_name"),
    "blocked": (Observation("reply", "greeting", "smtp", 554, "", "blocked using zen.spamhaus.org"), SMTP, None),
    "proxy": (Observation("proxy", "tcp", "smtp"), SMTP, "smtp.proxy"),
    "proxy's password": (
        Observation("proxy", "tcp", "smtp", facts={"field": "{block}.proxy_password"}),
        SMTP,
        "smtp.proxy_password",
    ),
    "tenant": (Observation("token", "token", "smtp", 400, "invalid_request 90002"), OAUTH2, "oauth2.tenant_id"),
    "client": (Observation("token", "token", "smtp", 400, "unauthorized_client 700016"), OAUTH2, "oauth2.client_id"),
    "secret": (Observation("token", "token", "smtp", 401, "invalid_client 7000215"), OAUTH2, "oauth2.client_secret"),
    "certificate": (
        Observation("token", "token", "smtp", 401, "invalid_client 700027"),
        {"oauth2": {"certificate_file": "/x"}},
        "oauth2.certificate_file",
    ),
    "token's user": (Observation("token", "token", "smtp", 400, "invalid_grant 50034"), OAUTH2, "oauth2.username"),
    "token's ca_file": (Observation("certificate", "token", "smtp", 20), OAUTH2, "oauth2.ca_file"),
    "token's proxy": (Observation("proxy", "token", "smtp"), OAUTH2, "oauth2.proxy"),
    "token refused": (Observation("token_refused", "auth", "smtp", 535), OAUTH2, "smtp.username"),
    "graph has no host": (Observation("not_found", "dns", "graph"), GRAPH, None),
    "graph's url": (Observation("not_found", "dns", "graph"), {"graph": {"url": "https://x"}}, "graph.url"),
    "graph's mailbox": (Observation("graph", "mailbox", "graph", 404, "ErrorInvalidUser"), GRAPH, "graph.mailbox"),
    "a file": (Observation("config", "config", "smtp", facts={"field": "{block}.ca_file"}), SMTP, "smtp.ca_file"),
    "named by the text": (
        Observation("config", "token", "smtp", text="oauth2.certificate: it has no private key"),
        OAUTH2,
        "oauth2.certificate",
    ),
    "too large": (Observation("too_large", "sender", "smtp"), SMTP, None),
    "a library": (Observation("not_ready", "auth", "imap", text="imapclient"), {}, None),
    "a bug": (Observation("internal", "auth", "imap"), {}, None),
}


def _paths(declared: dict[str, Any]) -> set[str]:
    inner = {f"{block}.{name}" for block, value in declared.items() if isinstance(value, dict) for name in value}
    return {*declared, *inner}


def test_observation_names_the_field_to_look_at_first() -> None:
    def found(observation: Observation, declared: dict[str, Any]) -> str | None:
        shares = bool(declared.get("smtp", {}).get("same_credentials"))
        return field_of(diagnose(observation), observation, _paths(declared), shares_credentials=shares)

    fields = {case: found(observation, declared) for case, (observation, declared, _field) in CASES.items()}
    assert fields == {case: field for case, (_observation, _declared, field) in CASES.items()}


def test_a_recipient_of_the_task_is_not_the_connectors_field() -> None:
    observation = Observation("reply", "recipient", "smtp", 550, "5.1.1", "user unknown")
    assert field_of(diagnose(observation), observation, _paths(SMTP), to="bob@example.com") == "to"


def test_field_of_any_observation_is_one_that_a_connector_has() -> None:
    phases = "config dns tcp greeting tls starttls token auth sender recipient message select mailbox".split()
    blocks = {"smtp": OAUTH2, "imap": {}, "graph": GRAPH}
    fields = set()
    for kind, phase, (protocol, declared) in product(KINDS, phases, blocks.items()):
        observation = Observation(kind, phase, protocol)
        fields.add(field_of(diagnose(observation), observation, _paths(declared)))
    assert fields - PATHS == {None}
