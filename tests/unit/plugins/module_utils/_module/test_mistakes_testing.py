# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users get to read for the mistakes that are made most often with tests, word for word."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Play

SECRET = "Rumpelstilzchen-7f3a9c51e2"
SIGNED_IN = {"host": "127.0.0.1", "port": 587, "username": "ann@example.com", "password": SECRET}
ENTRIES: list[dict[str, Any]] = [
    {"name": "alerts", "smtp": SIGNED_IN},
    {"name": "relay", "smtp": {"host": "127.0.0.1"}},
    {"name": "support", "imap": SIGNED_IN},
    {"name": "retired", "smtp": {"host": "127.0.0.1"}, "enabled": False},
    {"name": "old_box", "imap": SIGNED_IN, "enabled": False},
]
TEST = "connector_test"
ADDRESS = "must be a mail address such as alerts@example.com, without a display name"
DEPTHS = "must be one of connect, login, envelope, send, deliver"
# As the table says it: a connector's verdict, the field, and what to do.
NOBODY = "config_invalid (certain), field from_address. Correct the declaration: there is no sender: set"
OFF = "config_invalid (certain), field enabled. Correct the declaration: the connector is disabled: set enabled to true"
NOT_READY = "host_not_ready (certain). This host is not ready for the task:"
ANOTHER_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def declared(**smtp: Any) -> dict[str, Any]:
    return {"declaration": {"name": "new", "smtp": {"host": "mail.example.com", **smtp}}}


SENTENCES: dict[str, tuple[str, dict[str, Any], str]] = {
    "a connector that is misspelt": (
        TEST,
        {"connectors": ["alrts"]},
        "connector alrts: there is no such connector; did you mean alerts?",
    ),
    "several that are": (
        TEST,
        {"connectors": ["alrts", "relay", "suport"]},
        (
            "2 problems, nothing was changed:\n"
            "- connector alrts: there is no such connector; did you mean alerts?\n"
            "- connector suport: there is no such connector; did you mean support?"
        ),
    ),
    "one like no other": (TEST, {"connectors": ["zzz"]}, "connector zzz: there is no such connector"),
    "connectors as dictionaries": (TEST, {"connectors": [{"name": "alerts"}]}, "connectors: must be a list of texts"),
    "connectors beside a declaration": (
        TEST,
        {"connectors": ["alerts"], **declared()},
        "declaration: cannot be given with connectors",
    ),
    "the name of a connector as declaration": (TEST, {"declaration": "alerts"}, "declaration: must be a dictionary"),
    "a port that is a word": (
        TEST,
        declared(port="smtps"),
        "connector new: smtp.port: must be a whole number from 1 to 65535",
    ),
    "a host with its port": (
        TEST,
        declared(host="mail.example.com:587"),
        "connector new: smtp.host: must be a host name or an IP address, without scheme, port or path",
    ),
    "no password": (
        TEST,
        declared(username="ann@example.com", auth="password"),
        "connector new: smtp.password: is required to sign in with a password",
    ),
    "a ca_file beside the playbook": (
        TEST,
        declared(ca_file="files/ca.pem"),
        "connector new: smtp.ca_file: must be an absolute path",
    ),
    "a depth that is misspelt": (TEST, {"depth": "deliever"}, f"depth: {DEPTHS}; did you mean deliver?"),
    "a recipient without a domain": (TEST, {"depth": "send", "to": "ann"}, f"to: {ADDRESS}"),
    "a recipient with a name": (TEST, {"depth": "send", "to": "Ann <ann@example.com>"}, f"to: {ADDRESS}"),
    "several recipients": (TEST, {"depth": "send", "to": ["a@example.com", "b@example.com"]}, "to: must be text"),
    "include_copies as addresses": (
        TEST,
        {"include_copies": "bob@example.com"},
        "include_copies: must be true or false",
    ),
    "deliver_via that is misspelt": (
        TEST,
        {"depth": "deliver", "deliver_via": "suport"},
        "deliver_via: there is no connector suport; did you mean support?",
    ),
    "deliver_via that only sends": (
        TEST,
        {"depth": "deliver", "deliver_via": "relay"},
        "deliver_via: connector relay reads no mail: it has neither imap nor graph",
    ),
    "seconds with their unit": (TEST, {"timeout": "10s"}, "timeout: must be a number"),
    "no time at all": (TEST, {"deadline": 0}, "deadline: must be a number from 0.1 to 3600"),
    "a registry beside the playbook": (
        TEST,
        {"registry": "registry.db"},
        "registry must be the absolute path of a file, or begin with ~/.",
    ),
    "a registry elsewhere": (
        TEST,
        {"registry": "/nonexistent/registry.db", "connectors": ["alerts"]},
        "registry /nonexistent/registry.db: there is no registry here yet",
    ),
    "a verify deeper than there is": (
        "connector",
        {"name": "new", "smtp": {"host": "mail.example.com"}, "verify": "deliver"},
        "verify: must be one of none, connect, login, send",
    ),
    "an Init Mail of a connector that is misspelt": (
        "init_mail",
        {"connectors": ["alrts"]},
        "connector alrts: there is no such connector; did you mean alerts?",
    ),
    "an Init Mail to nobody": ("init_mail", {"to": "ann"}, f"to: {ADDRESS}"),
    "mail through a declaration that is disabled": (
        "mail",
        {
            "declaration": {"from_address": "a@example.com", "smtp": {"host": "127.0.0.1"}, "enabled": False},
            "to": "ann@example.com",
            "subject": "Hello",
            "body": "Hello",
        },
        f"No mail was sent. {OFF}",
    ),
    "a purpose that is misspelt": (
        "connector_info",
        {"purpose": "alarts"},
        "purpose alarts: no connector is bound to it and there is no default; did you mean alerts?",
    ),
    "a purpose with blanks": (
        "connector_info",
        {"purpose": "my alerts"},
        "purpose: must be 1 to 100 letters, digits or any of _ . -",
    ),
}
VERDICTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "a disabled connector": (TEST, {"connectors": ["retired"]}, f"retired: {OFF}"),
    "a declaration that is disabled": (
        TEST,
        {"declaration": {"name": "new", "enabled": False, "smtp": {"host": "127.0.0.1"}}},
        f"new: {OFF}",
    ),
    "a ca_file that is not there": (
        TEST,
        declared(host="127.0.0.1", ca_file="/nonexistent/ca.pem"),
        (
            "new: config_invalid (certain), field smtp.ca_file. Correct the declaration: ca_file /nonexistent/ca.pem"
            " cannot be used: No such file or directory"
        ),
    ),
    "nobody to send from": (TEST, {"connectors": ["relay"], "depth": "send"}, f"relay: {NOBODY} from_address"),
    "no mailbox to find the mail in": (
        TEST,
        {"connectors": ["alerts"], "depth": "deliver"},
        (
            "alerts: config_invalid (certain), field deliver_via. Correct the declaration: there is no mailbox to look"
            " for the mail in: set deliver_via to a connector that reads mail, or declare imap"
        ),
    ),
    "deliver_via that is disabled": (
        TEST,
        {"connectors": ["alerts"], "depth": "deliver", "deliver_via": "old_box"},
        (
            "alerts: config_invalid (certain), field deliver_via. Correct the declaration: connector old_box, in whose"
            " mailbox the mail is looked for, cannot be used: the connector is disabled: set enabled to true"
        ),
    ),
    "a key that is no key": (
        TEST,
        {"connectors": ["alerts"], "registry_key": "my key"},
        (
            f"alerts: {NOT_READY} registry_key must hold one or more Fernet keys (32 bytes in URL-safe base64),"
            " separated by commas or line breaks."
        ),
    ),
    "an Init Mail of a connector that only reads": (
        "init_mail",
        {"connectors": ["support"]},
        (
            "support: config_invalid (certain). Correct the declaration: the connector only receives mail: it"
            " needs smtp or graph to send"
        ),
    ),
    "an Init Mail of a disabled connector": ("init_mail", {"connectors": ["retired"]}, f"retired: {OFF}"),
    "an Init Mail from nobody": ("init_mail", {"connectors": ["relay"]}, f"relay: {NOBODY} from_address"),
}
# Class names of Python and Ansible, and what a specification or a dictionary looks like.
UNWANTED = re.compile(r"_Ansible|Traceback|Error\b|<class|\bNone\b|\bdict\b|\{'|\['|argument_spec")


@pytest.fixture
def stored(play: Play) -> Play:
    play("connectors", connectors=ENTRIES, purposes={"alerts": "alerts"})
    return play


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and that nobody else gets meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def said(result: dict[str, Any]) -> str:
    assert result["failed"] is True
    message = str(result["msg"])
    assert not UNWANTED.search(message), message
    assert SECRET not in str(result)
    return message


def advice(result: dict[str, Any]) -> str:
    """What the message says below the table and the count, on one line."""
    below = said(result).partition(" fail\n")[2]
    return " ".join(below.split())


@pytest.mark.parametrize(("module", "options", "message"), SENTENCES.values(), ids=SENTENCES)
@pytest.mark.sampled(4)
def test_a_mistake_in_the_task_is_a_sentence(stored: Play, module: str, options: dict[str, Any], message: str) -> None:
    assert said(stored(module, **options)) == message


@pytest.mark.parametrize(("module", "options", "message"), VERDICTS.values(), ids=VERDICTS)
@pytest.mark.sampled(3)
def test_a_mistake_in_a_connector_is_a_verdict_with_its_remedy(
    stored: Play, module: str, options: dict[str, Any], message: str
) -> None:
    assert advice(stored(module, **options)) == message


@pytest.mark.parametrize("module", [TEST, "connector"])
def test_a_wrong_port(stored: Play, closed_port: int, module: str) -> None:
    options: dict[str, Any] = {"alternatives": False, **declared(host="127.0.0.1", port=closed_port)}
    if module == "connector":
        options = {"verify": "connect", **options["declaration"]}
    told = advice(stored(module, **options))
    assert told.startswith(
        f"new: connect_refused (certain), field smtp.port. Check port ({closed_port}): SMTP submission uses 587"
        " (starttls) or 465 (tls), IMAP uses 993 (tls) or 143 (starttls). If the port is right, check that the server"
        " is running and that no firewall rejects this host."
    )


def test_a_key_that_is_lost(stored: Play, registry_path: Path) -> None:
    Path(f"{registry_path}.key").unlink()
    told = advice(stored(TEST, connectors=["alerts", "support"])).replace(" ", "")
    expected = (
        f"alerts, support: {NOT_READY} The registry holds secrets, and the key they are sealed with is missing: give"
        f" registry_key, or put back registry_key_file {registry_path}.key."
    )
    # A path that is longer than a line is broken.
    assert told == expected.replace(" ", "")


def test_the_key_of_another_registry(stored: Play) -> None:
    told = advice(stored(TEST, connectors=["alerts", "support"], registry_key=ANOTHER_KEY))
    assert re.fullmatch(
        rf"alerts, support: {re.escape(NOT_READY)} The registry holds secrets that are sealed with key [0-9a-f]{{16}},"
        r" which is not among the keys given in registry_key or registry_key_file\.",
        told,
    )


def test_a_misspelt_purpose_where_there_is_a_default(stored: Play) -> None:
    stored("connector", name="relay", state="default")
    assert stored("connector_info", purpose="alarts")["warnings"] == [
        (
            "purpose alarts: no connector is bound to it, for any tenant, so the default serves it: relay;"
            " did you mean alerts?"
        )
    ]


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("named", [{}, {"connector": "alerts"}, {"purpose": "notices"}])
def test_mail_without_a_registry_is_about_the_host(
    play: Play, registry_path: Path, named: dict[str, Any], check: bool
) -> None:
    result = play("mail", to=["ann@example.com"], subject="Hello", check=check, **named)
    assert result["msg"] == f"registry {registry_path}: there is no registry here yet"
    assert (result["verdict"], result["field"]) == ("host_not_ready", None)
