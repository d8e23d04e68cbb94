# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""Says what Ansible sends to a host for a module: `python payload.py COLLECTIONS MODULE…`.

It prints, as JSON and by module, the private files of the collection that are sent, each with its size in bytes. It is
a process of its own because modules do not print their warnings where the controller was imported.
"""

from __future__ import annotations

import base64
import io
import json
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
    """The files that are sent for each of these modules, by the Ansible of this Python."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "ansible.cfg"
        settings.touch()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        own = {"ANSIBLE_CONFIG": str(settings), "ANSIBLE_HOME": folder, "ANSIBLE_LOCAL_TEMP": folder}
        # Isolated (-I), so that the files beside this one are not taken for libraries.
        command = [python, "-I", "-B", __file__, collections, *modules]
        done = subprocess.run(command, env={**kept, **own}, stdout=subprocess.PIPE, check=True)
    found: dict[str, Files] = json.loads(done.stdout)
    return found


def _main() -> None:
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader
    from ansible.template import Templar

    collections, *modules = sys.argv[1:]
    init_plugin_loader([collections])
    templar = Templar(loader=DataLoader())
    print(json.dumps({module: _files(_built(module, templar)) for module in modules}))


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


def _files(built: bytes) -> Files:
    """The private files in it; those that Python needs to be there but are empty do not count."""
    encoded = max(_ENCODED.findall(built), key=len)
    archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(encoded)))
    ours = [each for each in archive.infolist() if each.filename.startswith(OURS) and each.file_size]
    return {each.filename[len(OURS) :]: each.file_size for each in ours}


if __name__ == "__main__":
    _main()
