# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent to hosts is imported there: by the oldest Python, without the libraries."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import ansible
import pytest
from integration.playing import TARGET_PYTHON, Stage

COLLECTION = Path(__file__).resolve().parents[2]
FILES = [path for name in ("module_utils", "modules") for path in (COLLECTION / "plugins" / name).rglob("*.py")]
MODULES = sorted(".".join(path.relative_to(COLLECTION).with_suffix("").parts) for path in FILES)
IMPORT = """
import importlib, json, sys
given = json.load(sys.stdin)
sys.path[:0] = given["path"]
sys.modules.update(dict.fromkeys(given["libraries"]))
for name in given["modules"]:
    importlib.import_module(f"ansible_collections.mailroom.core.{name}")
"""
LIBRARIES = ("cryptography", "imapclient", "msal", "psycopg", "yaml")
# With the newest ansible-core, unit tests import everything.
pytestmark = [pytest.mark.oldest, pytest.mark.matrix]


def test_each_file_is_imported_without_a_word_and_without_libraries(stage: Stage) -> None:
    environment = stage.environment()
    path = [environment["ANSIBLE_COLLECTIONS_PATH"], str(Path(ansible.__file__).parents[1])]
    done = subprocess.run(
        [TARGET_PYTHON, "-c", IMPORT],
        env=environment,
        input=json.dumps({"path": path, "libraries": LIBRARIES, "modules": MODULES}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert not done.stdout, done.stdout
    assert done.returncode == 0
