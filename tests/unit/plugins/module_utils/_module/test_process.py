# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as programs of their own: JSON in, JSON out, and nothing imported that the task does not need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ansible_collections.mailroom.core as collection

from .running import run_module

COLLECTIONS = Path(next(iter(collection.__path__))).parents[2]
MODULES = "ansible_collections.mailroom.core.plugins.modules"
SIGNED_IN = {"host": "mail.example.com", "username": "mailer", "password": "Rumpelstilzchen-7f3a9c51e2"}

# Runs a module as `python -m` does, with some imports forbidden.
RUN_WITHOUT = """
import runpy, sys
module, *forbidden = sys.argv[1:]
for name in forbidden:
    sys.modules[name] = None
del sys.argv[1:]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def run(module: str, options: dict[str, Any], *, without: tuple[str, ...] = (), check: bool = False) -> dict[str, Any]:
    arguments = {"ANSIBLE_MODULE_ARGS": {**options, "_ansible_check_mode": check}}
    done = subprocess.run(
        [sys.executable, "-B", "-c", RUN_WITHOUT, f"{MODULES}.{module}", *without],
        input=json.dumps(arguments),
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if result.get("failed") else 0)
    return result


@pytest.fixture
def shared(tmp_path: Path) -> dict[str, Any]:
    return {"registry": str(tmp_path / "registry.db"), "actor": "tester"}


def test_all_modules_one_after_another(shared: dict[str, Any], tmp_path: Path) -> None:
    connector = {**shared, "name": "a", "smtp": SIGNED_IN}
    assert run("connector", connector, check=True)["changed"] is True
    assert list(tmp_path.iterdir()) == []
    assert run("connector", connector)["changed"] is True
    assert run("connectors", {**shared, "connectors": [{"name": "a", "smtp": SIGNED_IN}]})["unchanged"] == 1
    assert run("connector_purpose", {**shared, "purpose": "alerts", "connector": "a"})["changed"] is True
    (found,) = run("connector_info", {**shared, "purpose": "alerts"})["connectors"]
    assert (found["name"], found["secrets"], found["updated_by"]) == ("a", ["smtp.password"], "tester")


def test_what_is_unchanged_neither_opens_nor_imports(shared: dict[str, Any]) -> None:
    connector = {**shared, "name": "a", "smtp": SIGNED_IN}
    assert run_module("connector", connector)
    spared = ("cryptography", "msal", "imapclient", "yaml")
    assert run("connector", connector, without=spared)["changed"] is False
    assert len(run("connector_info", shared, without=spared)["connectors"]) == 1


@pytest.mark.parametrize(
    ("library", "purpose", "check"),
    [
        # In check mode it is a warning: see test_check_mode.py.
        ("cryptography", "to seal secrets", False),
        ("sqlite3", "to read the registry", False),
        ("sqlite3", "to read the registry", True),
    ],
)
def test_a_missing_library_is_one_sentence(
    shared: dict[str, Any], library: str, purpose: str, tmp_path: Path, *, check: bool
) -> None:
    result = run("connector", {**shared, "name": "a", "smtp": SIGNED_IN}, without=(library,), check=check)
    assert result["failed"] is True
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".key"]
    assert result["msg"].startswith(
        f"The Python library {library} is needed {purpose} and cannot be imported by the interpreter that runs this"
        " module ("
    )
    assert "exception" not in result
