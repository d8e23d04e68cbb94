# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""connector_test, played by Ansible against Postfix and Dovecot."""

from __future__ import annotations

from typing import Any

from integration.playing import Stage
from peers.cloud import Cloud
from peers.entra import App
from peers.mail import MailServer
from peers.users import USERS

ALICE = USERS["alice"]


def block(server: MailServer, place: str, security: str, password: str = ALICE.password) -> dict[str, Any]:
    """How alice signs in at a port."""
    signing_in = {"username": ALICE.address, "password": password, "ca_file": str(server.ca_file)}
    return {"host": "127.0.0.1", "port": server.ports[place], "security": security, **signing_in}


def test_stored_connectors(stage: Stage, mail_server: MailServer) -> None:
    shared = {"group/mailroom.core.mailroom": {"registry": str(stage.folder / "registry.db")}}
    addresses = {"from_address": ALICE.address, "test_address": USERS["bob"].address}
    good = {"smtp": block(mail_server, "submission", "starttls"), "imap": block(mail_server, "imaps", "tls")}
    bad = {"imap": block(mail_server, "imap", "starttls", "a-wrong-password")}
    declared = [{"name": "good", **good, **addresses}, {"name": "bad", **bad}]
    tasks = [
        {"mailroom.core.connectors": {"connectors": declared}},
        {"mailroom.core.connector_test": {"depth": "envelope", "fail": False}, "register": "tested"},
        {
            "ansible.builtin.assert": {
                "that": [
                    "tested is not changed",
                    "tested.summary == {'ok': 1, 'warn': 0, 'fail': 1}",
                    "tested.results | items2dict(key_name='connector', value_name='verdict') == verdicts",
                    "tested.results | map(attribute='endpoints') | map('length') | sort == [1, 2]",
                ]
            },
            "vars": {"verdicts": {"good": "ok", "bad": "auth_rejected"}},
        },
        {"mailroom.core.connector_test": {"connectors": ["good"]}, "check_mode": True},
        {"mailroom.core.connector_test": {}},
    ]
    played = stage.play([{"module_defaults": shared, "tasks": tasks}])
    assert played.returncode == 2, played.stdout
    assert "ok=4 " in played.stdout, played.stdout
    assert "changed=1 " in played.stdout
    assert "bad: auth_rejected" in played.stdout
    assert "2 tested: 1 ok, 0 warn, 1 fail" in played.stdout
    assert "a-wrong-password" not in played.stdout


def test_a_declaration(stage: Stage, mail_server: MailServer) -> None:
    good = {"imap": block(mail_server, "imaps", "tls"), "smtp": block(mail_server, "submission", "starttls")}
    bad = {"smtp": block(mail_server, "smtps_wrong_name", "tls")}
    tasks = [{"mailroom.core.connector_test": {"declaration": each}} for each in (good, bad)]
    played = stage.play([{"tasks": tasks}])
    assert played.returncode == 2, played.stdout
    assert "ok=1 " in played.stdout, played.stdout
    assert "changed=0 " in played.stdout
    for words in ("declaration: tls_name_mismatch", "wrong.example.com", "1 tested: 0 ok, 0 warn, 1 fail"):
        assert words in played.stdout
    assert ALICE.password not in played.stdout


def with_token(server: MailServer, cloud: Cloud, app: App) -> dict[str, Any]:
    """How an application signs in for alice."""
    common = {"auth": "oauth2", "username": ALICE.address, "ca_file": str(server.ca_file), "host": "localhost"}
    oauth2 = {
        "authority": cloud.entra.url,
        "tenant_id": cloud.entra.tenant_id,
        "client_id": app.client_id,
        "client_secret": app.secret,
        "ca_file": str(cloud.ca_file),
    }
    return {
        "smtp": {**common, "port": server.ports["submission"], "security": "starttls"},
        "imap": {**common, "port": server.ports["imaps"], "security": "tls"},
        "oauth2": oauth2,
    }


def test_connectors_with_tokens(stage: Stage, mail_server: MailServer) -> None:
    shared = {"group/mailroom.core.mailroom": {"registry": str(stage.folder / "registry.db")}}
    roles = ("IMAP.AccessAsApp", "SMTP.SendAsApp", "Mail.Send")
    addresses = {"from_address": ALICE.address, "test_address": USERS["bob"].address}
    with Cloud(mail_server) as cloud:
        good, expired = cloud.entra.add_app(roles=roles), cloud.entra.add_app(secret_expired=True)
        graph = {"url": cloud.graph.url, "mailbox": ALICE.address, "ca_file": str(cloud.ca_file)}
        by_graph = {"graph": graph, "oauth2": with_token(mail_server, cloud, good)["oauth2"]}
        declared = [
            {"name": "good", **with_token(mail_server, cloud, good), **addresses},
            {"name": "expired", **with_token(mail_server, cloud, expired), **addresses},
            {"name": "by_graph", **by_graph},
        ]
        tasks = [
            {"mailroom.core.connectors": {"connectors": declared}},
            {"mailroom.core.connector_test": {"depth": "envelope", "fail": False}, "register": "tested"},
            {
                "ansible.builtin.assert": {
                    "that": [
                        "tested is not changed",
                        "tested.summary == {'ok': 1, 'warn': 1, 'fail': 1}",
                        "tested.results | items2dict(key_name='connector', value_name='verdict') == verdicts",
                        "tested.results | map(attribute='warnings') | flatten | map(attribute='code') == [unproven]",
                    ]
                },
                "vars": {
                    "verdicts": {"good": "ok", "expired": "token_expired_secret", "by_graph": "ok"},
                    "unproven": "send_unproven",
                },
            },
            {"mailroom.core.connector_test": {"declaration": by_graph}, "check_mode": True},
            {"mailroom.core.connector_test": {}},
        ]
        played = stage.play([{"module_defaults": shared, "tasks": tasks}], "-v")
        assert not cloud.graph.accepted
    assert played.returncode == 2, played.stdout
    assert "ok=4 " in played.stdout, played.stdout
    assert "changed=1 " in played.stdout
    assert "expired: token_expired_secret" in played.stdout, played.stdout
    assert "AADSTS7000222" in played.stdout
    for app in (good, expired):
        assert app.secret not in played.stdout
