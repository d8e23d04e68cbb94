# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the bytecode of what a command of Ansible compiles: the plugins of collections, and templates.

Ansible imports collections by a loader of its own, which keeps none, so each process that Ansible forks for a task
compiles them again. Without imports from the future here, since `compile` takes over those of the file that calls it.
"""

import _imp
import builtins
from typing import Any

from zip_bytecode import keep_code, kept_code


def install() -> None:
    """Has `compile` look for what has been compiled before."""
    compile_anew = builtins.compile

    def compile_once(source: Any, filename: Any, mode: str, *more: Any, **options: Any) -> Any:
        # The loader of collections gives options, the templates none; what others compile is left alone.
        is_text = isinstance(source, (str, bytes)) and isinstance(filename, str)
        if mode != "exec" or more or not is_text or options not in ({}, {"flags": 0, "dont_inherit": True}):
            return compile_anew(source, filename, mode, *more, **options)
        text = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
        name = _imp.source_hash(1, b"\0".join([filename.encode(), text])).hex()
        code = kept_code(name)
        if code is None:
            code = compile_anew(source, filename, mode, *more, **options)
            keep_code(name, code)
        return code

    builtins.compile = compile_once
