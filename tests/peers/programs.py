# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications that are written in Python, each in an environment of its own that a session of nox makes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import types
from pathlib import Path
from typing import Self

from peers.net import PeerFailed, PortBlock, wait_until_open

START_SECONDS = 600.0


def environment_of(name: str) -> Path:
    """The folder with an application's programs."""
    folder = os.environ.get(f"MAILROOM_{name.upper()}", "")
    if not (Path(folder) / "python").exists():
        raise PeerFailed(
            f"{name} is not installed: make applications does it, and says where in MAILROOM_{name.upper()}"
        )
    return Path(folder)


class Program:
    """A program with a port of its own, in a folder that is thrown away."""

    def __init__(self, name: str) -> None:
        self.programs = environment_of(name)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir="/tmp"))
        self._ports = PortBlock()
        self.port = self._ports.take()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ANSIBLE_"))}
        return {**kept, "PATH": f"{self.programs}{os.pathsep}{kept.get('PATH', '')}", "HOME": str(self.folder)}

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def run(self, *words: str) -> str:
        """Run a program of its environment to the end."""
        done = subprocess.run(
            [str(self.programs / words[0]), *words[1:]],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise PeerFailed(f"{words[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def spawn(self, *words: str) -> None:
        """Start a program, and wait until it listens."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.programs / words[0]), *words[1:]],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not wait_until_open(self.port, 0.2):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise PeerFailed(f"does not listen: {self.log[-4000:]}")

    def close(self) -> None:
        """End it with all that it has started."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._process = None
        self._ports.release()
        shutil.rmtree(self.folder, ignore_errors=True)
