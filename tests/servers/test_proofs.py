# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role postfix_relay says of a mail that it has handed to Postfix."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from peers.relay import Relay

SEND = Path(__file__).resolve().parents[2] / "roles" / "postfix_relay" / "files" / "send.sh"
SECONDS = 300
MAIL = "To: bob@example.com\nSubject: A proof\n\nText.\n"


def send(folder: Path, **environment: str) -> str:
    return subprocess.run(
        ["sh", SEND, folder, "bob@example.com", "120"],
        input=MAIL,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=SECONDS,
    ).stdout


def test_log_says_why_a_mail_could_not_be_sent(tmp_path: Path) -> None:
    relay = Relay(tmp_path / "postfix")
    with (relay.folder / "main.cf").open("a", encoding="utf-8") as file:
        file.write("relayhost = [127.0.0.1]:1\n")
    with relay:
        said = send(relay.folder)
    assert "to=<bob@example.com>" in said
    assert "status=deferred (connect to 127.0.0.1[127.0.0.1]:1: Connection refused)" in said
    assert len(said.splitlines()) == 1


PROGRAMS = {
    # Without a file to read, as in a container, what the system has kept is looked through.
    "postconf": 'case $4 in sendmail_path) echo "${0%/*}/sendmail";; maillog_file) echo "$LOG";; esac',
    "sendmail": 'cat > "${0%/*}/mail"',
    "journalctl": """\
id=$(sed -n 's/^Message-ID: //p' "${0%/*}/mail")
echo "Nov 28 12:00:00 here relay/cleanup[1]: 4XyZ1: message-id=<other@here>"
echo "Nov 28 12:00:00 here relay/cleanup[1]: 5AbC2: message-id=$id"
echo "Nov 28 12:00:01 here relay/smtp[2]: 4XyZ1: to=<eve@example.com>, status=bounced (no)"
echo "Nov 28 12:00:01 here relay/smtp[2]: 5AbC2: to=<bob@example.com>, relay=r[1]:25, status=sent (250 ok)"
""",
}


@pytest.mark.parametrize("log", ["", "/dev/stdout"])
def test_mail_is_found_in_the_journal(tmp_path: Path, log: str) -> None:
    for name, text in PROGRAMS.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        program.chmod(0o755)
    said = send(tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}", LOG=log)
    assert said.endswith("5AbC2: to=<bob@example.com>, relay=r[1]:25, status=sent (250 ok)\n")
    assert MAIL in (tmp_path / "mail").read_text(encoding="utf-8")
