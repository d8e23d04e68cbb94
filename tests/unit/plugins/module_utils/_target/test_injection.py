# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""No value breaks out of its place, whichever field and application it is written for."""

from __future__ import annotations

import ast
import configparser
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import yaml

from ansible_collections.mailroom.core.plugins.module_utils._connector.checks import absolute_path, run_check
from ansible_collections.mailroom.core.plugins.module_utils._connector.declaration import parse_declaration
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import resolve_connector
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Connector
from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.mailroom.core.plugins.module_utils._target.formats import ini
from ansible_collections.mailroom.core.plugins.module_utils._target.interface import account_of
from ansible_collections.mailroom.core.plugins.module_utils._target.targets import FILE_TARGETS

from .cases import CASES

HARMLESS = "/benign"
HOSTILE = [
    *(
        f"/x{separator}evil = 1"
        for separator in ("\n", "\r\n", "\r", "\x0b", "\x85", "\u2028", "\0", "\\\n", "\n\t", "\n\n")
    ),
    *(
        "/x\"\nevil = '1",
        "/x'\nevil: \"1",
        "/x\n[evil]",
        '/x"; evil = "1',
        "/x'; evil = '1",
        '/x", "evil": "1',
        "/x' evil '",
    ),
    *("/x\\", "/x\\' evil", '/x\\" evil', "/$(evil)", "/`evil`", "/${evil}", "/%(evil)s", "/#{evil}", "/{{ evil }}"),
    *(
        "/x # evil",
        "/x ; evil",
        "/x */ evil",
        "/x ?> evil",
        "/x --> evil",
        "/x ``` evil",
        "/x, evil",
        "evil: 1",
        "[evil]",
        "# evil",
    ),
    *("!evil", "&evil", "*evil", "- evil", "{evil: 1}", "<evil>", "|"),
]
FIELDS = [
    *("display_name", "description", "signature", "from_name", "reply_to", "headers"),
    *(f"{block}.{name}" for block in ("smtp", "imap") for name in ("username", "password", "ca_file", "client_cert")),
    *("imap.mailbox", "smtp.client_key", "smtp.proxy_username", "smtp.proxy_password", "smtp.ehlo_name", "smtp.host"),
    *("graph.mailbox", "oauth2.tenant_id", "oauth2.client_id", "oauth2.client_secret", "oauth2.username"),
    *("options.incoming_address", "options.local_user", "options.maildir", "options.prefix", "options.version"),
    "password_file",
]


def rendered(case: str, field: str, value: str) -> list[str]:
    """What is written with this value in this field; nothing where it is refused by name, or means nothing there."""
    app, declared, options = CASES[case]
    target = FILE_TARGETS[app].variant(options)
    block, _dot, name = field.partition(".")
    content: Any = {"X-Header": value} if field == "headers" else value
    if block == "options":
        if name not in {option.name for option in target.options}:
            return []
        options = {**options, name: value}
    elif field == "password_file":
        if not target.keeps_password_apart({"password_file": "/x"}) or run_check(absolute_path, value, "", field):
            return []
        options = {**options, "password_file": value}
    elif name:
        if block not in declared:
            return []
        extra = {"client_cert": "/cert.pem"} if name == "client_key" else {}
        proxy = {"proxy": "socks5://proxy.example.com:1080"} if name.startswith("proxy_") else {}
        inner = {**declared[block], **extra, **proxy, name: content}
        declared = {**declared, block: inner}
    else:
        declared = {**declared, field: content}
    declaration, problems = parse_declaration(declared)
    if problems:
        assert {problem.field.partition("[")[0] for problem in problems} & {field, block, f"{block}.proxy_username"}
        return []
    connector = Connector(declaration.name, declaration.settings, {}, declaration.secrets)
    resolved = resolve_connector(connector, connector.secrets)  # type: ignore[arg-type]
    password_file = options.get("password_file") or "/etc/password" if target.keeps_password_apart(options) else ""
    account = account_of(resolved, target, options, password_file)
    texts: list[str] = []
    if not target.unusable(resolved, options) and not list(target.unsupported(account)):
        with suppress(DeclarationError):
            texts = [target.render("", account), target.password_text(account) or ""]
    return texts if target.keeps_password_apart(options) else texts[:1]


def shape(case: str, text: str) -> object:
    """What a text consists of, as the parser of its format reads it, without the values."""
    found: object
    app = CASES[case][0]
    if app == "json":
        found = list(keys(json.loads(text)))
    elif app in ("yaml", "alertmanager", "redmine") or case in ("accuknox", "accuknox chart"):
        found = list(keys(yaml.load(text, Loader=yaml.CSafeLoader)))
    elif text.startswith("<!--"):
        # A value of several lines is an indented block of code.
        found = re.findall(r"^\S.*?\*\*(.+?)\*\*", text, re.MULTILINE)
    elif case in ("grafana", "gitea", "gitea both"):
        body = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
        found = list(keys(ini.parse_go(body)))
    elif app in ("mailman3", "getmail"):
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(text)
        found = list(keys({section: dict(parser[section]) for section in parser}))
    elif app == "django":
        found = [ast.dump(each.targets[0]) for each in ast.parse(text).body if isinstance(each, ast.Assign)]
        assert all(
            isinstance(each, (ast.Assign, ast.Import, ast.Expr, ast.ImportFrom)) for each in ast.parse(text).body
        )
    elif app in ("env", "vaultwarden", "grafana"):
        found = [word.partition("=")[0] for word in shlex.split(text, comments=True)]
    else:
        found = [re.split(r"[\s=:(]", line.strip(), maxsplit=1)[0] for line in text.split("\n")]
    return found


def shapes(case: str, texts: list[str]) -> list[object]:
    """Those of the settings, and of the file that holds only the password, which each program reads by lines."""
    return [shape(case, texts[0]), *(text.count("\n") for text in texts[1:])]


def keys(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from keys(inner, f"{path}/{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from keys(inner, f"{path}/{number}")
    else:
        yield path


PLACES = [case for case in CASES if not case.startswith("template")]


@pytest.mark.parametrize("case", PLACES)
def test_no_value_adds_or_hides_a_setting(case: str, stride: int) -> None:
    broken, written = [], set()
    for number, field in enumerate(FIELDS, PLACES.index(case)):
        harmless = rendered(case, field, HARMLESS) or rendered(case, field, "benign@example.com")
        expected = shapes(case, harmless) if harmless else None
        # Where not all are tried, other values for each field and application, so that each meets every parser.
        for value in HOSTILE[number % stride :: stride]:
            texts = rendered(case, field, value) if expected else None
            if texts:
                written.add(field)
            if texts and shapes(case, texts) != expected:
                broken.append((field, value))
    assert broken == []
    assert len(written) > 1, written
