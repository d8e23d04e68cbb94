# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Alertmanager itself reads in what is written for it."""

from __future__ import annotations

import builtins
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError, MissingLibrary
from ansible_collections.mailroom.core.plugins.module_utils._target.files.alertmanager import Alertmanager

from .given import SMTP, account, bounded, passwords, refused, usernames

ALERTMANAGER = Alertmanager()
sender = partial(account, ALERTMANAGER)
FROM = "alerts@example.com"
FILE = "/etc/prometheus/mailroom_password"
REST = """\
# Who is told.
route:
  receiver: team   # of today
receivers:
  - name: team
    email_configs: [{to: team@example.com}]
"""
BOMB = "a0: &a0 [x, x]\n" + "".join(
    f"a{number}: &a{number} [*a{number - 1}, *a{number - 1}]\n" for number in range(1, 100)
)
"""A few lines of aliases that stand for more than a computer can hold."""

GLOBALS = {
    "none": "",
    "empty": "global:\n",
    "other": "global:\n    # How long.\n    resolve_timeout: 5m\n\n# Next.\n",
    "smtp": "global:\n  smtp_smarthost: 'old:25'\n  smtp_auth_password: old\n",
    "mixed": "global:\n  smtp_from: a@b.example\n  # Between.\n  resolve_timeout: 5m\n  smtp_hello: x\n\n# Next.\n",
    "long": 'global:\n  smtp_from: "a@\n    b"\n  smtp_auth_password: |\n    one\n    two\n  resolve_timeout: 5m\n',
    "nested": "global:\n  resolve_timeout: 5m\n  http_config:\n    follow_redirects: false\n  smtp_hello:\n    x\n",
}


def written(text: str, smtp: dict[str, Any] | None = None, **fields: Any) -> str:
    said = sender(smtp, password_file=FILE, from_address=FROM, **fields)
    assert refused(ALERTMANAGER, said) == []
    return ALERTMANAGER.render(text, said)


def smtp_of(text: str) -> dict[str, Any]:
    found = yaml.safe_load(text)["global"]
    return {key: value for key, value in found.items() if key.startswith("smtp_")}


def check(folder: Path, text: str) -> None:
    """What the program says of a configuration."""
    path = folder / "alertmanager.yml"
    path.write_text(text, encoding="utf-8")
    subprocess.run(["amtool", "check-config", str(path)], capture_output=True, check=True)


@pytest.mark.parametrize("part", GLOBALS.values(), ids=list(GLOBALS))
@pytest.mark.parametrize("is_first", [True, False])
def test_all_else_stays(tmp_path: Path, part: str, is_first: bool) -> None:
    text = part + REST if is_first else REST + part
    after = written(text)
    assert ALERTMANAGER.clear(after) == text
    assert written(after, {"port": 25, "security": "none"}) == written(text, {"port": 25, "security": "none"})
    check(tmp_path, after)
    before = yaml.safe_load(text)
    assert smtp_of(after) == {
        "smtp_smarthost": "smtp.example.com:587",
        "smtp_from": FROM,
        "smtp_require_tls": True,
        "smtp_auth_username": SMTP["username"],
        "smtp_auth_password_file": FILE,
    }
    assert {key: value for key, value in yaml.safe_load(after).items() if key != "global"} == {
        key: value for key, value in before.items() if key != "global"
    }
    assert yaml.safe_load(after)["global"].get("resolve_timeout") == (before.get("global") or {}).get("resolve_timeout")


def test_what_is_no_setting_is_not_set_aside() -> None:
    aside = [line for line in written(GLOBALS["mixed"] + REST).split("\n") if "set aside" in line]
    assert [line.partition(": ")[2] for line in aside] == ["  smtp_from: a@b.example", "  smtp_hello: x"]


@pytest.mark.parametrize(
    ("smtp", "fields", "expected"),
    [
        ({"port": 465}, {}, {"smtp_smarthost": "smtp.example.com:465", "smtp_require_tls": False}),
        ({"security": "none"}, {}, {"smtp_smarthost": "smtp.example.com:25", "smtp_require_tls": False}),
        ({"host": "2001:db8::1"}, {}, {"smtp_smarthost": "[2001:db8::1]:587"}),
        ({"ehlo_name": "here.example.com"}, {}, {"smtp_hello": "here.example.com"}),
        ({"mechanisms": ["LOGIN", "PLAIN"]}, {}, {"smtp_require_tls": True}),
        ({}, {"from_name": 'A "b", c'}, {"smtp_from": f'"A \\"b\\", c" <{FROM}>'}),
        ({"validate_certs": False}, {}, {"smtp_tls_config": {"insecure_skip_verify": True}}),
        ({"ca_file": "/a b.pem"}, {}, {"smtp_tls_config": {"ca_file": "/a b.pem"}}),
        (
            {"client_cert": "/c.pem"},
            {},
            {"smtp_tls_config": {"cert_file": "/c.pem", "key_file": "/c.pem"}},
        ),
    ],
)
def test_what_a_connector_says(smtp: dict[str, Any], fields: dict[str, Any], expected: dict[str, Any]) -> None:
    found = smtp_of(written(REST, smtp, **fields))
    assert {key: found[key] for key in expected} == expected


@bounded
@given(usernames, passwords)
def test_any_user_and_password(username: str, password: str) -> None:
    said = sender({"username": username, "password": password}, password_file=FILE, from_address=FROM)
    carried = password == password.strip()
    assert (refused(ALERTMANAGER, said) == []) is carried
    assert ALERTMANAGER.password_text(said) == password
    assert smtp_of(ALERTMANAGER.render(REST, said))["smtp_auth_username"] == username


@pytest.mark.parametrize(
    "username", ["it's", 'say "x"', "a: b # c", "%&*!|>", "{{ x }}", "é→😀", " blank ", "\\n", "yes"]
)
def test_any_user_is_read(tmp_path: Path, username: str) -> None:
    check(tmp_path, written(REST, {"username": username}))


@pytest.mark.parametrize(
    ("smtp", "fields", "field"),
    [
        ({"port": 587, "security": "tls"}, {}, "smtp.port"),
        ({"port": 465, "security": "starttls"}, {}, "smtp.port"),
        ({"mechanisms": ["PLAIN"]}, {}, "smtp.mechanisms"),
        ({"password": " a"}, {}, "smtp.password"),
        ({}, {"from_address": None}, "from_address"),
        ({}, {"from_address": "grüße@example.com"}, "from_address"),
        ({}, {"from_name": "{{ .x }}"}, "from_name"),
    ],
)
def test_what_it_cannot_carry(smtp: dict[str, Any], fields: dict[str, Any], field: str) -> None:
    assert refused(ALERTMANAGER, sender(smtp, **{"from_address": FROM, **fields})) == [field]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("global: {resolve_timeout: 5m}\n", "block style"),
        ("- a\n", "is no configuration"),
        ("global: text\n", "is no configuration"),
        ("route:\n\tsecret: hidden\n", "is no valid YAML, line 2"),
        ("a: 1\n---\nb: 2\n", "is no valid YAML"),
        ("a: \x01\n", "is no valid YAML"),
        ('a: "\\UFFFFFFFF"\n', "is no valid YAML"),
        ("%YAML " + "9" * 5_000 + ".1\n---\na: b\n", "is no valid YAML"),
        (BOMB + "global:\n  ? *a99\n  : y\n", "block style"),
        ("a: " + "[" * 1_500 + "\n", "is nested too deeply"),
        ("global:\n  a: b\nglobal:\n  c: d\n", "in more than one place"),
        ("x: &x {smtp_hello: y}\nglobal:\n  <<: *x\n", "takes global settings from elsewhere"),
        ("x: &x {global: {a: b}}\n<<: *x\n", "takes global settings from elsewhere"),
        ("x: &x\n  a: b\nglobal: *x\n", "block style"),
        ("global:\n  smtp_hello: &x y\nz: *x\n", "block style"),
        ("global:\n  a: b\x85  smtp_hello: x\n", "block style"),
    ],
)
def test_a_file_that_is_not_understood_is_refused(text: str, told: str) -> None:
    with pytest.raises(DeclarationError, match=told) as refusal:
        written(text)
    assert "hidden" not in str(refusal.value)


def test_the_library_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *how: Any, **more: Any) -> Any:
        if name == "yaml":
            raise ImportError("no yaml here")
        return real(name, *how, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingLibrary, match="PyYAML is needed to write settings in YAML"):
        written(REST)


@pytest.mark.parametrize("text", [BOMB, BOMB + "? *a99\n: y\n", "a: &a [*a]\n"])
def test_aliases_are_not_gone_through(text: str) -> None:
    assert ALERTMANAGER.clear(written(text)) == text


@bounded
@given(st.text(st.sampled_from("global: \n-[]{}?&*!|>'\"%@`#,<ax1\\\t\r\x85\u2028\udc80"), max_size=60))
def test_any_text_is_refused_or_kept(text: str) -> None:
    for whole in (text, f"global:\n  {text}", f"route: x\n{text}"):
        with suppress(DeclarationError):
            cleared = ALERTMANAGER.clear(written(whole))
            assert cleared in (whole, f"{whole}\n")
