# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports a module as a host does, from what Ansible sends: `python import_process.py ARCHIVE MODULE`.

It prints, as JSON, the milliseconds that the collection's own files take, with what they import of Python, and how
many lines of them are compiled: in an archive there is no bytecode. The registry is imported as well, which each
module opens.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import zipfile

PLUGINS = "ansible_collections.mailroom.core.plugins"


def main() -> None:
    """Imports what Ansible itself needs first, which is not measured."""
    archive, module = sys.argv[1:]
    sys.path.insert(0, archive)
    importlib.import_module("ansible.module_utils.basic")
    with zipfile.ZipFile(archive) as opened:
        names = [name.removesuffix(".py").replace("/", ".") for name in opened.namelist()]
    registry = [name for name in names if "._registry." in name and not name.endswith("__init__")]
    started = time.perf_counter()
    importlib.import_module(f"{PLUGINS}.modules.{module}")
    for name in registry:
        importlib.import_module(name)
    milliseconds = (time.perf_counter() - started) * 1000
    imported = [each for name, each in sys.modules.items() if name.startswith(f"{PLUGINS}.module_utils.")]
    sources = [each.__loader__.get_source(each.__name__) or "" for each in imported if each.__loader__]
    lines = sum(len(source.splitlines()) for source in sources)
    print(json.dumps({"milliseconds": milliseconds, "lines": lines}))


if __name__ == "__main__":
    main()
