# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has each ansible-playbook find what another has built: what is sent to the host for a module.

Ansible keeps that as long as one command runs, and building it takes as long as carrying out two tasks. What is kept
is found by the Python and its ansible-core, the worker of pytest, and the files of the collection as they are now.
"""

from __future__ import annotations

import _imp
import os
import sys
from typing import Any

from zip_bytecode import KEPT as BYTECODE

KEPT = f"{os.path.dirname(BYTECODE)}/payloads"  # noqa: PTH120
MADE_BY_ANSIBLE = f"ansible-local-{os.getpid()}"


def is_ansible() -> bool:
    """Whether this process is a command of Ansible."""
    command = getattr(sys, "orig_argv", [])[1:3]
    return command == ["-m", "ansible"] or [os.path.basename(word) for word in command[:1]] == ["ansible-playbook"]  # noqa: PTH119


def install() -> None:
    """Puts the folder of what is kept into the folder for temporary files that Ansible makes for itself."""
    import tempfile

    mkdtemp = tempfile.mkdtemp

    def make(suffix: Any = None, prefix: Any = None, dir: Any = None) -> Any:  # noqa: A002 - as it is called
        made = mkdtemp(suffix, prefix, dir)
        if prefix == MADE_BY_ANSIBLE:
            kept = f"{KEPT}/{_state()}"
            os.makedirs(kept, exist_ok=True)  # noqa: PTH103
            os.symlink(kept, f"{made}/ansiballz_cache")  # noqa: PTH211
        return made

    tempfile.mkdtemp = make


def _state() -> str:
    """Names the state of all that payloads are made of."""
    parts = [sys.prefix, os.environ.get("PYTEST_XDIST_WORKER", "")]
    for path in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(os.pathsep):
        plugins = os.path.realpath(f"{path}/ansible_collections/mailroom/core/plugins")
        for folder, _folders, files in os.walk(plugins):
            for name in sorted(files):
                if name.endswith(".py"):
                    found = os.stat(f"{folder}/{name}")  # noqa: PTH116
                    parts.append(f"{folder}/{name} {found.st_mtime_ns} {found.st_size}")
    return _imp.source_hash(0, "\n".join(parts).encode()).hex()
