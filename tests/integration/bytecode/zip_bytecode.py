# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the bytecode of what is imported from a zip file, as Python itself does for what is imported from a folder.

Ansible sends each module as a zip file of sources, and nearly half of the processor time of a task goes into compiling
them. What is kept is found by the source and the version of Python. Each module process imports this, so it imports
nothing that Python has not imported already.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
import zipimport
from types import CodeType

TESTS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))  # noqa: PTH120
KEPT = f"{TESTS}/output/cache/zip-bytecode"


def install() -> None:
    """Has zipimport compile each source once; by itself it does so as it finds a module and again as it loads it."""
    compile_source = zipimport._compile_source  # type: ignore[attr-defined]
    found: dict[str, CodeType] = {}

    def compile_once(path: str, source: bytes) -> CodeType:
        if path in found:
            return found.pop(path)
        name = _imp.source_hash(0, source).hex()
        code = kept_code(name)
        if code is None:
            code = compile_source(path, source)
            keep_code(name, code)
        found[path] = code
        return code

    zipimport._compile_source = compile_once  # type: ignore[attr-defined]


def kept_code(name: str) -> CodeType | None:
    """What this Python has kept by a name."""
    try:
        with open(f"{KEPT}/{sys.implementation.cache_tag}-{name}", "rb") as kept:  # noqa: PTH123
            code: CodeType = marshal.loads(kept.read())
    except (OSError, EOFError, ValueError):
        return None
    return code


def keep_code(name: str, code: CodeType) -> None:
    """What is unfinished has another name, since many Pythons do this at once."""
    path = f"{KEPT}/{sys.implementation.cache_tag}-{name}"
    try:
        os.makedirs(KEPT, exist_ok=True)  # noqa: PTH103
        unfinished = f"{path}.{os.getpid()}"
        with open(unfinished, "wb") as file:  # noqa: PTH123
            file.write(marshal.dumps(code))
        os.replace(unfinished, path)  # noqa: PTH105
    except OSError:
        pass
