# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""Builds what Ansible sends to a host for a module: `python payload.py COLLECTIONS FOLDER MODULE…`.

For each module it writes an archive, FOLDER/MODULE.zip. It is a process of its own because modules do not print their
warnings where the controller was imported.
"""

from __future__ import annotations

import base64
import functools
import os
import re
import subprocess
import sys
import tempfile
import typing as t
import zipfile
from pathlib import Path

COLLECTION = "mailroom.core"
OURS = "ansible_collections/mailroom/core/plugins/module_utils/"
_ENCODED = re.compile(rb"[A-Za-z0-9+/]{1000,}={0,2}")

Files = dict[str, int]


def payloads(python: str, collections: Path, modules: t.Iterable[str]) -> dict[str, Files]:
    """The private files of the collection that are sent for each module, each with its size in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        archives = build(python, collections, Path(folder), modules)
        return {module: files_in(archive) for module, archive in archives.items()}


def build(python: str, collections: Path, folder: Path, modules: t.Iterable[str]) -> dict[str, Path]:
    """The archives that the Ansible of this Python makes for these modules, in the folder."""
    names = list(modules)
    settings = folder / "ansible.cfg"
    settings.touch()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    own = {"ANSIBLE_CONFIG": str(settings), "ANSIBLE_HOME": str(folder), "ANSIBLE_LOCAL_TEMP": str(folder)}
    # Isolated (-I), so that the files beside this one are not taken for libraries.
    command = [python, "-I", "-B", __file__, collections, folder, *names]
    subprocess.run(command, env={**kept, **own}, check=True)
    return {name: folder / f"{name}.zip" for name in names}


def files_in(archive: Path) -> Files:
    """The private files of the collection; those that Python needs to be there but are empty do not count."""
    with zipfile.ZipFile(archive) as opened:
        ours = [each for each in opened.infolist() if each.filename.startswith(OURS) and each.file_size]
    return {each.filename[len(OURS) :]: each.file_size for each in ours}


def _main() -> None:
    from ansible.executor import module_common
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader
    from ansible.template import Templar

    collections, folder, *modules = sys.argv[1:]
    init_plugin_loader([collections])
    # It parses what a module imports to find what that imports, for each module anew.
    module_common.compile = functools.cache(compile)  # type: ignore[attr-defined]
    templar = Templar(loader=DataLoader())
    for module in modules:
        encoded = max(_ENCODED.findall(_built(module, templar)), key=len)
        (Path(folder) / f"{module}.zip").write_bytes(base64.b64decode(encoded))


def _built(module: str, templar: t.Any) -> bytes:
    """The program that Ansible sends, with all that the module imports inside it."""
    from ansible.executor.module_common import modify_module
    from ansible.plugins.loader import module_loader

    name = f"{COLLECTION}.{module}"
    found = module_loader.find_plugin_with_context(name)
    built: t.Any = modify_module(
        module_name=name,
        module_path=found.plugin_resolved_path,
        module_args={},
        templar=templar,
        task_vars={"ansible_python_interpreter": sys.executable},
    )
    # Since 2.19 it is an object, before it was a tuple.
    return bytes(getattr(built, "b_module_data", None) or built[0])


if __name__ == "__main__":
    _main()
