# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What msmtp itself reads in what is written for it."""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from ansible_collections.mailroom.core.plugins.module_utils._target.files.msmtp import Msmtp

from .given import SMTP, account, bounded, passwords, refused, usernames

MSMTP = Msmtp()
sender = partial(account, MSMTP)
WRITTEN = MSMTP.render("", sender())


def read(folder: Path, text: str, account: str = "default", sent_by: str = "") -> dict[str, str]:
    """An account, as msmtp says it; it never says a password."""
    path = folder / "msmtprc"
    path.write_text(text, encoding="utf-8", newline="")
    command = ["msmtp", "-C", str(path), "-a", account, *(["-f", sent_by] if sent_by else []), "-P"]
    shown = subprocess.run(command, capture_output=True, check=False)
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.decode().split("\n")
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


@pytest.mark.parametrize(
    ("smtp", "fields", "expected"),
    [
        ({}, {}, {"host": "smtp.example.com", "port": "587", "tls": "on", "tls_starttls": "on", "auth": "choose"}),
        ({}, {}, {"user": SMTP["username"], "password": "*", "tls_certcheck": "on", "tls_trust_file": "system"}),
        ({"port": 465}, {}, {"port": "465", "tls": "on", "tls_starttls": "off"}),
        ({"security": "none"}, {}, {"port": "25", "tls": "off"}),
        ({"validate_certs": False, "ca_file": "/ca.pem"}, {}, {"tls_certcheck": "off", "tls_trust_file": "system"}),
        ({"ca_file": "/a b/~ca.pem"}, {}, {"tls_trust_file": "/a b/~ca.pem"}),
        ({"client_cert": "/c.pem"}, {}, {"tls_cert_file": "/c.pem", "tls_key_file": "/c.pem"}),
        ({"client_cert": "/c.pem", "client_key": "/k.pem"}, {}, {"tls_cert_file": "/c.pem", "tls_key_file": "/k.pem"}),
        ({"mechanisms": ["SCRAM-SHA-256"]}, {}, {"auth": "SCRAM-SHA-256"}),
        ({"ehlo_name": "here.example.com"}, {}, {"domain": "here.example.com"}),
        ({"proxy": "socks5://proxy.example.com:1080"}, {}, {"proxy host": "proxy.example.com", "proxy port": "1080"}),
        ({"username": None, "password": None}, {}, {"auth": "none", "user": "(not set)", "password": "(not set)"}),
        ({}, {"from_address": "a@example.com"}, {"from": "a@example.com", "set_from_header": "on"}),
    ],
)
def test_msmtp_reads_what_a_connector_says(
    tmp_path: Path, smtp: dict[str, Any], fields: dict[str, Any], expected: dict[str, str]
) -> None:
    said = sender(smtp, **fields, name="alerts")
    assert refused(MSMTP, said) == []
    for each in ("alerts", "default"):
        shown = read(tmp_path, MSMTP.render("what was there", said), each)
        assert {key: shown[key] for key in expected} == expected


@pytest.mark.parametrize("name", ["default", "defaults"])
def test_msmtp_reads_a_connector_that_is_named_like_a_word_of_its_own(tmp_path: Path, name: str) -> None:
    text = MSMTP.render("", sender(name=name))
    assert [read(tmp_path, text, account)["host"] for account in (name, "default")] == ["smtp.example.com"] * 2


@pytest.mark.parametrize("name", ["alerts", "default"])
def test_nobody_sends_as_somebody_else(tmp_path: Path, name: str) -> None:
    text = MSMTP.render("", sender(name=name, from_address="a@example.com"))
    for each in (name, "default"):
        assert read(tmp_path, text, each, "root@localhost")["from"] == "a@example.com"


@settings(bounded, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(usernames)
def test_any_user(tmp_path: Path, username: str) -> None:
    assert read(tmp_path, MSMTP.render("", sender({"username": username})))["user"] == username


@settings(bounded, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(passwords)
def test_any_password(tmp_path: Path, password: str) -> None:
    """It is read as a user is, which msmtp shows."""
    text = MSMTP.render("", sender({"password": password}))
    swapped = (
        text.replace('\nuser "', '\nswapped "').replace('\npassword "', '\nuser "').replace("\nswapped", "\npassword")
    )
    assert read(tmp_path, swapped)["user"] == password


@pytest.mark.parametrize(
    ("smtp", "fields", "field"),
    [
        ({"mechanisms": ["PLAIN", "LOGIN"]}, {}, "smtp.mechanisms"),
        ({"proxy": "http://proxy.example.com:3128"}, {}, "smtp.proxy"),
        ({"proxy": "socks5://proxy.example.com:1080", "proxy_username": "me"}, {}, "smtp.proxy"),
        ({}, {"from_address": "a%Ub@example.com"}, "from_address"),
        ({}, {"from_address": "a*@example.com"}, "from_address"),
        ({}, {"password_file": "/etc/password"}, "options.password_file"),
        ({"password": "é" * 245}, {}, "smtp.password"),
        ({"ca_file": "/" + "x" * 490}, {}, "smtp.ca_file"),
    ],
)
def test_what_it_cannot_carry(smtp: dict[str, Any], fields: dict[str, Any], field: str) -> None:
    assert refused(MSMTP, sender(smtp, **fields)) == [field]


def test_the_longest_password_is_read(tmp_path: Path) -> None:
    longest = sender({"password": "x" * 488})
    assert refused(MSMTP, longest) == []
    assert read(tmp_path, MSMTP.render("", longest))["password"] == "*"
    assert refused(MSMTP, sender({"password": "x" * 489})) == ["smtp.password"]


def test_only_a_file_of_ours_is_cleared() -> None:
    assert MSMTP.clear(WRITTEN) == ""
    assert MSMTP.clear("account mine\n") == "account mine\n"
    assert MSMTP.password_file_in(WRITTEN) == ""


def test_the_difference_shows_no_password() -> None:
    other = MSMTP.render("", sender({"password": 'password "other"'}))
    shown = MSMTP.difference("account mine\npassword mine\n", WRITTEN)
    assert (shown[0], "password (changed)\n" in shown[1]) == ("", True)
    before, after = MSMTP.difference(WRITTEN, other)
    assert ("password (stored)\n" in before, "password (changed)\n" in after) == (True, True)
    before, after = MSMTP.difference(WRITTEN, WRITTEN.replace("587", "2525"))
    assert ("password (stored)\n" in before, "password (stored)\n" in after) == (True, True)
    assert not any(secret in str([shown, before, after]) for secret in (SMTP["password"], "mine", "other"))
