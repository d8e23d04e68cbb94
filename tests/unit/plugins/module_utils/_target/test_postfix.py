# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Postfix itself reads in what is written for it."""

from __future__ import annotations

import os
import re
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._target.files.postfix import Postfix

from .given import SMTP, account, bounded, passwords, refused, texts, usernames

POSTFIX = Postfix()
sender = partial(account, POSTFIX)
FILE = "/etc/postfix/mailroom_password"
MAIN = """\
# A comment.
relayhost = old.example.com
smtp_tls_CAfile = /etc/ssl/system.pem
smtp_sasl_password_maps =
# within
  hash:/etc/postfix/old

  hash:/etc/postfix/older
mynetworks = 127.0.0.0/8
  $other
other = 10.0.0.0/8
"""
within_a_folder = settings(bounded, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    os.utime(path, (0, 0))  # Postfix waits until a file is a second old
    return path


def read(folder: Path, text: str) -> dict[str, str]:
    """The settings that are in a main.cf, with what they refer to, as Postfix says them."""
    write(folder / "main.cf", text)
    (folder / "master.cf").touch()
    command = ["/usr/sbin/postconf", "-c", str(folder), "-n", "-x"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    # It complains of a setting that stands there twice.
    assert not re.search(r"overriding earlier entry: (?!other=)", shown.stderr)
    pairs = (line.partition(" =") for line in shown.stdout.splitlines())
    return {name: value.strip() for name, _equals, value in pairs}


@pytest.mark.parametrize(
    ("smtp", "expected"),
    [
        ({}, {"relayhost": "[smtp.example.com]:587", "smtp_sasl_auth_enable": "yes"}),
        ({}, {"smtp_sasl_password_maps": f"texthash:{FILE}", "smtp_sasl_tls_security_options": "noanonymous"}),
        ({}, {"smtp_tls_security_level": "secure", "smtp_tls_wrappermode": "no"}),
        ({}, {"smtp_tls_secure_cert_match": "nexthop", "smtp_tls_CAfile": "/etc/ssl/system.pem"}),
        ({"host": "2001:db8::1", "port": 25}, {"relayhost": "[2001:db8::1]:25"}),
        ({"port": 465}, {"smtp_tls_security_level": "secure", "smtp_tls_wrappermode": "yes"}),
        ({"security": "none"}, {"smtp_tls_security_level": "none", "smtp_tls_wrappermode": "no"}),
        ({"security": "starttls_optional", "validate_certs": False}, {"smtp_tls_security_level": "may"}),
        ({"validate_certs": False}, {"smtp_tls_security_level": "encrypt"}),
        ({"ca_file": "/a $b/ca.pem"}, {"smtp_tls_CAfile": "/a $b/ca.pem"}),
        ({"client_cert": "/c.pem"}, {"smtp_tls_cert_file": "/c.pem", "smtp_tls_key_file": "/c.pem"}),
        ({"client_cert": "/c.pem", "client_key": "/k.pem"}, {"smtp_tls_key_file": "/k.pem"}),
        ({"mechanisms": ["SCRAM-SHA-256", "PLAIN"]}, {"smtp_sasl_mechanism_filter": "scram-sha-256, plain"}),
        ({"ehlo_name": "here.example.com"}, {"smtp_helo_name": "here.example.com"}),
        ({"username": None, "password": None}, {"smtp_sasl_auth_enable": "no"}),
    ],
)
def test_what_a_connector_says(tmp_path: Path, smtp: dict[str, Any], expected: dict[str, str]) -> None:
    said = sender(smtp, password_file=FILE)
    assert refused(POSTFIX, said) == []
    shown = read(tmp_path, POSTFIX.render(MAIN, said))
    assert {key: shown[key] for key in expected} == expected
    assert shown["mynetworks"] == "127.0.0.0/8 10.0.0.0/8"


@given(texts)
def test_what_was_there_comes_back(text: str) -> None:
    whole = text if text.endswith("\n") else text + "\n"
    written = POSTFIX.render(text, sender(password_file=FILE))
    assert POSTFIX.clear(written) == whole
    other = sender({"host": "other.example.com"})
    assert POSTFIX.render(written, other) == POSTFIX.render(text, other)


@within_a_folder
@given(texts)
def test_no_setting_stands_there_twice(tmp_path: Path, text: str) -> None:
    # What begins with a blank needs something to go on with.
    shown = read(tmp_path, POSTFIX.render(f"other = 1\n{text}", sender(password_file=FILE)))
    assert shown["relayhost"] == "[smtp.example.com]:587"


def sign_in(folder: Path, username: str, password: str) -> str:
    """What Postfix looks up for the server."""
    text = POSTFIX.password_text(sender({"username": username, "password": password}))
    write(folder / "main.cf", "")
    path = write(folder / "password", text or "")
    command = ["/usr/sbin/postmap", "-c", str(folder), "-q", f"[{SMTP['host']}]:587", f"texthash:{path}"]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode().removesuffix("\n")


@within_a_folder
@given(usernames.filter(lambda name: ":" not in name and name == name.lstrip()), passwords)
def test_any_password(tmp_path: Path, username: str, password: str) -> None:
    carried = password == password.rstrip(" \t\r\x0b\x0c")
    assert (refused(POSTFIX, sender({"username": username, "password": password})) == []) is carried
    if carried:
        assert sign_in(tmp_path, username, password) == f"{username}:{password}"


@pytest.mark.parametrize(
    ("smtp", "fields", "field"),
    [
        ({"username": "a:b"}, {}, "smtp.username"),
        ({"username": " a"}, {}, "smtp.username"),
        ({"password": "a "}, {}, "smtp.password"),
        ({"security": "starttls_optional"}, {}, "smtp.validate_certs"),
        ({"ca_file": "/ca.pem "}, {}, "smtp.ca_file"),
        ({"client_cert": "/c.pem "}, {}, "smtp.client_cert"),
        ({"client_cert": "/c.pem", "client_key": "/k.pem "}, {}, "smtp.client_key"),
        ({}, {"password_file": "/etc/a,b"}, "options.password_file"),
        ({}, {"password_file": "/etc/a b"}, "options.password_file"),
        ({}, {"password_file": "/etc/{a}"}, "options.password_file"),
    ],
)
def test_what_it_cannot_carry(smtp: dict[str, Any], fields: dict[str, Any], field: str) -> None:
    assert refused(POSTFIX, sender(smtp, **fields)) == [field]


@given(st.just(FILE))
def test_the_file_of_the_password(path: str) -> None:
    written = POSTFIX.render(MAIN, sender(password_file=path))
    assert POSTFIX.password_file_in(written) == path
    nobody = sender({"username": None, "password": None}, password_file=path)
    assert (POSTFIX.password_text(nobody), POSTFIX.password_file_in(POSTFIX.render(written, nobody))) == (None, "")


def test_the_difference_is_what_was_written() -> None:
    before, after = POSTFIX.difference(MAIN, POSTFIX.render(MAIN, sender(password_file=FILE)))
    assert before == ""
    assert after.startswith(f"# The password is in {FILE}\nrelayhost = [smtp.example.com]:587\n")
    assert SMTP["password"] not in after
