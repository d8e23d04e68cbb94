# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Alertmanager of its own, on a loopback port."""

from __future__ import annotations

import subprocess
import types
from pathlib import Path
from typing import Self

from peers import net
from peers.net import PeerFailed

SECONDS = 120.0


class Alertmanager:
    """In a `with` block it runs with this configuration. What it writes is beside that."""

    def __init__(self, path: Path, ca_file: Path) -> None:
        self.path = path
        self.url = ""
        self.pid = 0
        # Its 0.25 takes authorities to trust from the environment only.
        self._environment = {"SSL_CERT_FILE": str(ca_file), "PATH": "/usr/bin"}
        self._log = path.with_name("alertmanager.log")
        self._block = net.PortBlock()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        port = self._block.take()
        self.url = f"http://127.0.0.1:{port}"
        command = ["prometheus-alertmanager", f"--config.file={self.path}", f"--web.listen-address=127.0.0.1:{port}"]
        command += [f"--storage.path={self.path.with_name('alertmanager-data')}", "--cluster.listen-address="]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, env=self._environment)
        self.pid = self._process.pid
        if not net.wait_until_open(port, SECONDS):
            self.stop()
            raise PeerFailed(f"Alertmanager did not start\n{self.log()}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends it."""
        if self._process:
            self._process.terminate()
            self._process.wait()
        self._block.release()

    def log(self) -> str:
        """What it says."""
        return self._log.read_text(encoding="utf-8", errors="replace")
