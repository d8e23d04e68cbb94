# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the bytecode of what is imported from a zip file, as Python itself does for what is imported from a folder.

Ansible sends each module as a zip file of sources, and nearly half of the processor time of a task goes into compiling
them. What is kept is found by the source and the version of Python.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import sys
import zipimport
from pathlib import Path
from types import CodeType

KEPT = Path(__file__).resolve().parents[2] / "output" / "cache" / "zip-bytecode"


def install() -> None:
    """Has zipimport compile each source once."""
    compile_source = zipimport._compile_source  # type: ignore[attr-defined]

    def compile_once(path: str, source: bytes) -> CodeType:
        name = f"{sys.implementation.cache_tag}-{hashlib.sha256(source).hexdigest()}"
        try:
            code: CodeType = marshal.loads((KEPT / name).read_bytes())
        except (OSError, EOFError, ValueError):
            code = compile_source(path, source)
            with contextlib.suppress(OSError):
                _keep(name, marshal.dumps(code))
        return code

    zipimport._compile_source = compile_once  # type: ignore[attr-defined]


def _keep(name: str, code: bytes) -> None:
    """What is unfinished has another name, since many Pythons do this at once."""
    KEPT.mkdir(parents=True, exist_ok=True)
    unfinished = KEPT / f"{name}.{os.getpid()}"
    unfinished.write_bytes(code)
    unfinished.replace(KEPT / name)
