# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Postfix of its own that takes mail on a loopback port, and relays it as its main.cf says."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import types
from pathlib import Path
from typing import Self

from peers import net, postfix
from peers.mail import privileges, start_warden
from peers.net import PeerFailed

SECONDS = 120.0


class Relay:
    """In a `with` block it runs, with the `main.cf` that is in the folder then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.runtime = Path(tempfile.mkdtemp(prefix="mr"))
        self.runtime.chmod(0o755)
        self._block = net.PortBlock()
        self._warden: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        self.port = self._block.take()
        self._write("main.cf", _MAIN % {"folder": folder, "runtime": self.runtime})
        self._write("master.cf", f"{postfix.SERVICES}smtp unix - - n - - smtp\n{self.port} inet n - n - - smtpd\n")

    def __enter__(self) -> Self:
        os.utime(self.folder / "main.cf", (0, 0))  # Postfix waits until a file is a second old
        self._warden = start_warden(privileges(), self._plan(), self.folder / "output.log")
        if not net.wait_until_open(self.port, SECONDS):
            self.stop()
            raise PeerFailed(f"Postfix did not start\n{self.log()}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends all processes."""
        if self._warden and self._warden.stdin:
            self._warden.stdin.close()
            self._warden.wait()
        self._block.release()
        shutil.rmtree(self.runtime, ignore_errors=True)

    def log(self) -> str:
        """What it says, to print when a test has failed."""
        return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in self.folder.glob("*.log"))

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def _plan(self) -> dict[str, object]:
        queue = self.runtime / "queue"
        return {
            "runtime": str(self.runtime),
            "output": str(self.folder / "output.log"),
            "folders": [
                (str(queue), "", 0o755),
                (str(self.runtime / "data"), "postfix", 0o700),
                *((str(queue / name), "postfix", 0o700) for name in postfix.QUEUES),
                (str(queue / "pid"), "", 0o755),
            ],
            "files": [],
            "commands": {"Postfix": ["/usr/lib/postfix/sbin/master", "-c", str(self.folder), "-d"]},
        }


_MAIN = """\
compatibility_level = 3.6
queue_directory = %(runtime)s/queue
data_directory = %(runtime)s/data
maillog_file = %(folder)s/postfix.log
maillog_file_prefixes = /
myhostname = relay.example.net
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
disable_dns_lookups = yes
smtp_host_lookup = native
# The distribution's own way to send, which a connector takes the place of.
relayhost =
smtp_tls_security_level = may
alias_maps =
alias_database =
local_recipient_maps =
biff = no
"""
