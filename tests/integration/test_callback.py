# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback mail_failures, with a real mail server."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from integration.playing import TARGET_PYTHON, Stage
from peers import actions
from peers.mail import MailServer
from peers.smtp import SmtpScript
from peers.users import USERS
from servers.playing import run as run_module

ALICE, BOB = USERS["alice"], USERS["bob"]
ENABLED = {"ANSIBLE_CALLBACKS_ENABLED": "mailroom.core.mail_failures"}
FAIL = "ansible.builtin.fail"
Task = dict[str, Any]


def failing(name: str, message: str, **more: Any) -> Task:
    return {"name": name, FAIL: {"msg": message}, **more}


RESCUED = {"block": [failing("Try", "tried")], "rescue": [{"name": "Help", "ansible.builtin.debug": {"msg": "helped"}}]}
HARMLESS: list[Task] = [
    {"name": "Look", "ansible.builtin.debug": {"msg": "looked"}},
    failing("Shrug", "shrugged", ignore_errors=True),
    RESCUED,
]
FAILING: list[Task] = [
    *HARMLESS,
    failing("Install the package", "no such package: " + "x" * 400, when="inventory_hostname == 'web1'"),
    failing("Log in", f"refused: {ALICE.password}", when="inventory_hostname == 'web2'"),
    failing("Hide", "hidden word", when="inventory_hostname == 'web3'", no_log=True),
    {
        "block": [failing("Try again", "tried again")],
        "rescue": [failing("Give up", "gave up", when="inventory_hostname == 'web4'")],
        "when": "inventory_hostname == 'web4'",
    },
    # A rescue section does not help a host that cannot be reached.
    {
        "block": [{"name": "Reach", "ansible.builtin.ping": None, "when": "inventory_hostname == 'db1'"}],
        "rescue": RESCUED["rescue"],
    },
]


class Run:
    """Plays playbooks with the callback, and a connector in the registry of the controller."""

    def __init__(self, stage: Stage, server: MailServer) -> None:
        self.stage = stage
        self.server = server
        self.registry = str(stage.folder / "registry.db")
        local = {"ansible_connection": "local", "ansible_python_interpreter": TARGET_PYTHON}
        hosts: dict[str, Any] = {f"web{number}": {} for number in range(1, 6)}
        hosts["db1"] = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
        stage.write("inventory.json", {"all": {"vars": local, "hosts": hosts}})
        self.declare(server.ports["submission"], "starttls", username=ALICE.address, password=ALICE.password)

    def declare(self, port: int, security: str, **more: Any) -> None:
        smtp = {"host": "127.0.0.1", "port": port, "security": security, "ca_file": str(self.server.ca_file), **more}
        smtp = smtp if security != "none" else {key: smtp[key] for key in ("host", "port", "security")}
        connector = {"name": "alerts", "from_address": ALICE.address, "smtp": smtp, "from_name": "Alerts"}
        assert run_module("connectors", {"connectors": [connector], "default": "alerts", "registry": self.registry})[
            "changed"
        ]

    def play(self, tasks: list[Task], hosts: str = "all") -> dict[str, Any]:
        return {"hosts": hosts, "gather_facts": False, "tasks": tasks}

    def run(self, tasks: list[Task], *arguments: object, **environment: str) -> tuple[int, str]:
        book = self.stage.write("site.yml", [self.play(tasks)])
        given = {"MAILROOM_FAILURES_TO": BOB.address, "MAILROOM_REGISTRY": self.registry, **ENABLED, **environment}
        done = self.stage.run("playbook", book, *arguments, **given)
        return done.returncode, done.stdout

    def mails(self) -> list[EmailMessage]:
        """What bob has got; a mail that comes to him afterwards is proof that no other one is on its way."""
        return self.server.messages("bob")


@pytest.fixture
def run(stage: Stage, mail_server: MailServer) -> Iterator[Run]:
    mail_server.empty("bob")
    yield Run(stage, mail_server)
    mail_server.empty("bob")


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    body = message.get_body((kind,))
    assert body
    return str(body.get_content())


@pytest.mark.oldest
def test_a_failed_run_is_mailed_once_with_hosts_tasks_and_counts(run: Run) -> None:
    awx = {"AWX_HOST": "https://awx.example.com", "JOB_ID": "4711", "MAILROOM_FAILURES_MESSAGES": "true"}
    code, said = run.run(FAILING, **awx)
    assert code
    assert "mail_failures" not in said
    message = run.server.wait_for("bob", "Subject", "site.yml failed on 5 hosts")
    assert [each["Subject"] for each in run.mails()] == ["site.yml failed on 5 hosts"]
    assert message["From"].addresses[0].display_name == "Alerts"
    text, html = text_of(message), text_of(message, "html")
    rows = [line.split(":", 1) for line in text.splitlines() if ":" in line]
    told = [(label, value.strip()) for label, value in rows if label not in ("Controller",)]
    assert told == [
        ("Playbook", "site.yml"),
        ("Failed", "5 of 6 hosts"),
        ("AWX job", "https://awx.example.com/#/jobs/playbook/4711"),
        ("db1", "1 unreachable, 3 ok"),
        ("Task", told[4][1]),
        ("web1", "1 failed, 3 ok"),
        ("Task", ("Install the package: no such package: " + "x" * 400)[: len("Install the package: ") + 300]),
        ("web2", "1 failed, 3 ok"),
        ("Task", "Log in: refused: ********"),
        ("web3", "1 failed, 3 ok"),
        ("Task", "Hide"),
        ("web4", "1 failed, 3 ok"),
        ("Task", "Give up: gave up"),
    ]
    assert told[4][1].startswith("Reach: ")
    for part in (text, html):
        for word in (ALICE.password, "hidden word", "shrugged", "tried", "web5"):
            assert word not in part
        assert "https://awx.example.com/#/jobs/playbook/4711" in part


def test_messages_are_left_out_unless_they_are_asked_for(run: Run) -> None:
    run.run(FAILING, "--limit", "web1", JOB_ID="1")
    text = text_of(run.server.wait_for("bob", "Subject", "site.yml failed on web1"))
    assert "Install the package" in text
    assert "no such package" not in text
    assert "AWX" not in text


def test_nothing_is_mailed_where_nothing_failed_and_in_check_mode(run: Run) -> None:
    assert run.run(HARMLESS, "--limit", "web1")[0] == 0
    assert run.run(FAILING, "--limit", "web1", "--check")[0] == 2
    run.run(FAILING, "--limit", "web1")
    run.server.wait_for("bob", "Subject", "site.yml failed on web1")
    assert len(run.mails()) == 1


SETTINGS = """
[defaults]
callbacks_enabled = mailroom.core.mail_failures
[callback_mailroom_mail_failures]
to = {to}, nobody@example.com
connector = alerts
registry = {registry}
messages = true
deadline = 20
"""


def test_it_is_set_up_in_ansible_cfg_and_a_refused_recipient_is_a_warning(run: Run) -> None:
    settings = SETTINGS.format(to=BOB.address, registry=run.registry)
    (run.stage.folder / "ansible.cfg").write_text(settings, encoding="utf-8")
    book = run.stage.write("site.yml", [run.play(FAILING, "web1")])
    said = " ".join(run.stage.run("playbook", book).stdout.split())
    assert "mailroom.core.mail_failures: The mail to nobody@example.com was not sent: recipient_rejected" in said
    text = text_of(run.server.wait_for("bob", "Subject", "site.yml failed on web1"))
    assert "no such package" in text


WARNINGS: dict[str, tuple[dict[str, str], str]] = {
    "nobody": ({"MAILROOM_FAILURES_TO": ""}, "to: is required: set MAILROOM_FAILURES_TO"),
    "no address": ({"MAILROOM_FAILURES_TO": "nowhere"}, "to: item 1 must be a mail address"),
    "both": ({"MAILROOM_FAILURES_PURPOSE": "a", "MAILROOM_FAILURES_CONNECTOR": "b"}, "purpose: must not be given with"),
    "unknown": ({"MAILROOM_FAILURES_CONNECTOR": "alrts"}, "there is no such connector; did you mean alerts?"),
    "no registry": ({"MAILROOM_REGISTRY": "/nowhere/registry.db"}, "there is no registry here yet"),
    "no key": ({"MAILROOM_REGISTRY_KEY_FILE": "/nowhere/key"}, "host_not_ready"),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("environment", "warning"), WARNINGS.values(), ids=WARNINGS)
def test_what_keeps_the_mail_from_being_sent_is_a_warning(run: Run, environment: dict[str, str], warning: str) -> None:
    code, said = run.run(FAILING, "--limit", "web1", **environment)
    assert code == 2
    words = " ".join(said.split())
    assert "[WARNING]: mailroom.core.mail_failures: " in words
    assert warning in words
    assert "Traceback" not in said


def test_a_server_that_does_not_answer_delays_the_run_no_longer_than_the_deadline(run: Run) -> None:
    with SmtpScript({"greeting": actions.silent()}).server() as server:
        run.declare(server.port, "none")
        code, said = run.run(FAILING, "--limit", "web1", MAILROOM_FAILURES_DEADLINE="1")
    assert code == 2
    assert "[WARNING]: mailroom.core.mail_failures: the mail was not sent within 1 s" in " ".join(said.split())
