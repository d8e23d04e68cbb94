# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records what a Python process tells the system: it is on the path of the interpreter that modules run under."""

from __future__ import annotations

import os
import sys

import zip_bytecode

_WRITING = os.O_WRONLY | os.O_RDWR
_TOLD = ("os.exec", "os.posix_spawn", "os.putenv", "os.system", "subprocess.Popen", "syslog.openlog", "syslog.syslog")
_RECORD = os.open(os.environ["RECORDER_PROCESS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        path, _mode, flags = arguments
        if isinstance(flags, int) and flags & _WRITING:
            os.write(_RECORD, f"writes {path}\n".encode(errors="backslashreplace"))
    elif event in _TOLD:
        os.write(_RECORD, f"{event} {arguments!r}\n".encode(errors="backslashreplace"))


zip_bytecode.install()
sys.addaudithook(_watch)
