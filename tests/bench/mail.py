# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail sent by the module mail, beside community.general.mail: the same mail, over the same Postfix."""

from __future__ import annotations

import os
import re
import sys
import typing as t
from pathlib import Path

from scene import HERE, Scene
from timing import Case, alternate

sys.path.insert(0, str(HERE.parent))

from peers import postfix
from peers.mail import MailServer
from peers.users import USERS

COUNT = 200
LARGE = 25 * 1024 * 1024
LEAST_TIMES_FASTER = 20
ALICE = USERS["alice"]
# Postfix would refuse the large mail. Mail for another domain is discarded once it is queued.
postfix._MAIN += "message_size_limit = 104857600\n"


class Sending:
    """Playbooks that send through one Postfix."""

    def __init__(self, scene: Scene, server: MailServer) -> None:
        self.scene = scene
        self.server = server
        self.connections: dict[str, int] = {}
        """How often Postfix was connected to for each case."""
        self.large = scene.folder / "large.bin"
        self.large.write_bytes(os.urandom(LARGE))
        self.registry = scene.registry("mail")
        smtp = {
            "host": "localhost",
            "port": server.ports["submission"],
            "security": "starttls",
            "ca_file": str(server.ca_file),
            "username": ALICE.address,
            "password": ALICE.password,
        }
        connector = {"name": "mail", "from_address": ALICE.address, "smtp": smtp, "registry": str(self.registry)}
        scene.play(scene.playbook("declare_mail", "mailroom.core.connector", connector))

    def ours(self, name: str, options: dict[str, t.Any]) -> Case:
        """The module of this collection."""
        given = {"registry": str(self.registry), "connector": "mail", **options}
        return self._case(f"{name}, mail", self.scene.playbook(f"{name} ours", "mailroom.core.mail", given))

    def incumbent(self, name: str, options: dict[str, t.Any], **more: t.Any) -> Case:
        """The module of community.general, which does not check the certificate."""
        server = {"host": "localhost", "port": self.server.ports["submission"], "secure": "starttls"}
        account = {"username": ALICE.address, "password": ALICE.password, "sender": ALICE.address}
        options = {**server, **account, **options}
        playbook = self.scene.playbook(f"{name} incumbent", "community.general.mail", options, **more)
        return self._case(f"{name}, community.general", playbook)

    def _case(self, name: str, playbook: Path) -> Case:
        def run(_number: int) -> None:
            before = self._connections()
            self.scene.play(playbook)
            self.connections[name] = self._connections() - before

        return Case(name, run)

    def _connections(self) -> int:
        """How often Postfix was connected to, so far."""
        log = (self.server.base / "postfix.log").read_text(encoding="utf-8", errors="replace")
        return len(re.findall(r"submission/smtpd\[\d+\]: connect from", log))


def measure(scene: Scene, rounds: int) -> None:
    """Sends one mail, many, and a large one, with both modules."""
    incumbent = os.environ.get("MAILROOM_BENCH_INCUMBENT", "")
    if incumbent:
        scene.environment["ANSIBLE_COLLECTIONS_PATH"] += os.pathsep + incumbent
    one = {"to": "ops@example.net", "subject": "Hello", "body": "Good morning."}
    messages = [{**one, "to": f"user{number}@example.net"} for number in range(COUNT)]
    with MailServer(scene.folder / "mail") as server:
        sending = Sending(scene, server)
        large = {**one, "attachments": [str(sending.large)]}
        ours = [sending.ours("one", one), sending.ours("large", large), sending.ours("many", {"messages": messages})]
        theirs: list[Case] = []
        if incumbent:
            attached = {**one, "attach": [str(sending.large)]}
            looped = {**one, "to": "user{{ item }}@example.net"}
            theirs = [
                sending.incumbent("one", one),
                sending.incumbent("large", attached),
                sending.incumbent("many", looped, loop=list(range(COUNT))),
            ]
            theirs[-1].rounds = 1
        alternate([*ours, *theirs], rounds)
        print(f"{'':44} {'seconds':>7}  connections")
        for case in (*ours, *theirs):
            print(f"{case.name:44} {case.median:7.2f}  {sending.connections[case.name]:11}")
    if theirs:
        times = theirs[-1].median / ours[-1].median
        judgement = "met" if times >= LEAST_TIMES_FASTER else "MISSED"
        print(f"\n{COUNT} mails: {times:.0f} times faster than a loop.  {LEAST_TIMES_FASTER} {judgement}")
