# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories whose hosts share a registry in PostgreSQL, each with an interpreter of its own."""

from __future__ import annotations

import re
import site
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from integration.playing import TARGET_PYTHON, Stage
from integration.test_mail_servers import block
from peers.mail import MailServer
from peers.postgresql import DATABASE, SUPERUSER, Postgres, new_schema, shared_server
from peers.users import USERS

pytestmark = [pytest.mark.oldest, pytest.mark.matrix]

ALICE, BOB = USERS["alice"], USERS["bob"]
OUT_OF_REACH = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


def changed(said: str) -> dict[str, int]:
    return {host: int(count) for host, count in re.findall(r"^(\S+) +: .*changed=(\d+)", said, re.MULTILINE)}


class Inventories:
    """Two whose hosts may write a registry, and one whose host may only read it."""

    def __init__(self, stage: Stage, mail: MailServer, database: Postgres) -> None:
        self.stage = stage
        self.schema = new_schema()
        self.key = Fernet.generate_key().decode()
        self.passwords = {SUPERUSER: database.password}
        for role in ("writer", "reader"):
            name = f"{role}_{self.schema}"
            self.passwords[name] = database.add_role(name)
        self._mail = mail
        self._dovecot = next(path for path in mail.logs if path.name == "dovecot.log")
        connectors = {
            "alerts": {
                "smtp": block(mail, "submission", "starttls"),
                "from_address": ALICE.address,
                "test_address": BOB.address,
            },
            "support": {"imap": block(mail, "imaps", "tls")},
        }
        server = f"127.0.0.1:{database.port}/{DATABASE}"
        owner, writer, reader = list(self.passwords)
        local = {"ansible_connection": "local", "ansible_python_interpreter": TARGET_PYTHON}
        other = {"ansible_connection": "local", "ansible_python_interpreter": self._other_python()}
        of_owner = {
            **self._of(owner, f"{server}?schema={self.schema}&sslmode=disable"),
            "mailroom_registry_create": True,
            "mailroom_registry_grant_read": reader,
            "mailroom_registry_grant_write": [writer],
        }
        of_writer = self._of(writer, f"{server}?sslmode=disable&connect_timeout=60&schema={self.schema}")
        of_reader = self._of(reader, f"{server}?sslmode=disable&schema={self.schema}")
        for name, hosts, variables in (
            # In the order of the play the first one cannot be reached.
            ("a", {"a0": {**OUT_OF_REACH, "ansible_python_interpreter": TARGET_PYTHON}, "a1": local}, of_owner),
            ("b", {"b1": other}, of_writer),
            ("c", {"c1": other}, of_reader),
        ):
            declared = {**variables, "mailroom_connectors": connectors, "mailroom_default": "alerts"}
            stage.write(f"{name}.json", {"all": {"children": {name: {"hosts": hosts, "vars": declared}}}})

    def _of(self, user: str, place: str) -> dict[str, str]:
        return {"mailroom_registry": f"postgresql://{user}@{place}", "mailroom_registry_password": self.passwords[user]}

    def _other_python(self) -> str:
        """Another interpreter, with the same libraries."""
        folder = self.stage.folder / "other"
        venv.create(folder, symlinks=True)
        (packages,) = folder.glob("lib/python*/site-packages")
        (packages / "shared.pth").write_text("\n".join(site.getsitepackages()), encoding="utf-8")
        return str(folder / "bin" / Path(sys.executable).name)

    def play(self, playbooks: str, *inventories: str, **variables: Any) -> tuple[int, str]:
        """The exit code and the output, in which no secret may be, of one playbook or more."""
        given = self.stage.write("extra.json", {"mailroom_registry_key": self.key, **variables})
        named = [word for each in inventories for word in ("--inventory", self.stage.folder / f"{each}.json")]
        books = [f"mailroom.core.{playbook}" for playbook in playbooks.split()]
        played = self.stage.run("playbook", *books, *named, "--extra-vars", f"@{given}")
        assert not [user for user, password in self.passwords.items() if password in played.stdout]
        return played.returncode, played.stdout

    def sign_ins(self) -> int:
        """How often somebody has signed in with IMAP."""
        return len(re.findall(r"imap-login: (?:Info: )?Login: user=", self._dovecot.read_text(encoding="utf-8")))

    def refused(self) -> int:
        """How often IMAP has refused somebody."""
        log = self._dovecot.read_text(encoding="utf-8")
        return len(re.findall(r"imap-login: .*\(auth failed, 1 attempts", log))

    def init_mails(self) -> int:
        return len([each for each in self._mail.messages("bob") if "Init Mail" in str(each["Subject"])])


@pytest.fixture
def inventories(stage: Stage, mail_server: MailServer) -> Inventories:
    return Inventories(stage, mail_server, shared_server())


def test_hosts_that_share_a_database_test_and_send_once(inventories: Inventories) -> None:
    before = inventories.sign_ins()
    code, said = inventories.play("apply", "a", "b", mailroom_verify="login", mailroom_init_mail=True)
    # A host that cannot be reached fails the play, and keeps no other from its turn.
    assert code == 4, said
    assert changed(said) == {"a0": 0, "a1": len(["made", "declared", "sent"]), "b1": 0}, said
    assert inventories.sign_ins() == before + 1
    assert inventories.init_mails() == 1

    before = inventories.sign_ins()  # this test has signed in too, to see the Init Mail
    code, said = inventories.play("verify", "a", "b", mailroom_serial=2)
    assert code == 4, said
    assert said.count("2 tested: 2 ok, 0 warn, 0 fail") == 1, said
    assert inventories.sign_ins() == before + 1

    # One of them may only read the registry.
    code, said = inventories.play("verify drift", "b", "c", mailroom_test_from="each")
    assert code == 0, said
    assert said.count("2 tested: 2 ok, 0 warn, 0 fail") == len(["b1", "c1"]), said


def test_what_is_refused_is_tried_and_stored_by_no_other_host(inventories: Inventories) -> None:
    wrong = {"support": {"imap": {"password": "not-the-password-of-anybody-1"}}}
    failures = inventories.refused()
    code, said = inventories.play("apply", "a", "b", mailroom_verify="login", mailroom_connectors_secrets=wrong)
    assert code != 0
    sentence = "Nothing was stored from b1: a1, which declares the same connectors in the same registry, has failed."
    assert sentence in said, said
    assert inventories.refused() == failures + 1
