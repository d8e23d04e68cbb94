# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays a module within the test, from its arguments as Ansible hands them over to the JSON that it prints."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common import warnings
from task_modules import module_for

Play = Callable[..., dict[str, Any]]

_BODIES = "ansible_collections.mailroom.core.plugins.module_utils._module"
_MODULES = "ansible_collections.mailroom.core.plugins.modules"


@pytest.fixture
def registry_path(tmp_path: Path) -> Path:
    return tmp_path / "registry" / "registry.db"


@pytest.fixture
def default_registry(tmp_path: Path) -> Path:
    """Where the registry is when nobody says so: not on this machine, but in the test's own folder."""
    return tmp_path / "default" / "registry.db"


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch, default_registry: Path) -> None:
    monkeypatch.setattr(f"{_BODIES}.shared_options.DEFAULT_REGISTRY", str(default_registry))
    for name in [name for name in os.environ if name.startswith("MAILROOM_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, registry_path: Path) -> Play:
    """Play a module by its name; `check` stands for --check, `verbosity` for the number of v's.

    With `verify`, the module with the tester is played, as the action plugin would have it.

    The registry is the test's own; None leaves it out.
    """

    def play_module(module: str, /, *, check: bool = False, verbosity: int = 0, **options: Any) -> dict[str, Any]:
        options = {"registry": str(registry_path), **options}
        if options["registry"] is None:
            del options["registry"]
        internal = {"_ansible_check_mode": check, "_ansible_diff": True, "_ansible_verbosity": verbosity}
        arguments = {"ANSIBLE_MODULE_ARGS": {**options, **internal}}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps(arguments).encode())
        # Since 2.19 a profile says how the JSON is to be read; before, there is no such thing.
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        for kept_between_modules in ("_global_warnings", "_global_deprecations"):
            empty = type(getattr(warnings, kept_between_modules))()
            monkeypatch.setattr(warnings, kept_between_modules, empty)
        printed = io.StringIO()
        played = importlib.import_module(f"{_MODULES}.{module_for(module, options)}")
        with contextlib.redirect_stdout(printed), pytest.raises(SystemExit):
            played.main()
        result: dict[str, Any] = json.loads(printed.getvalue())
        for of_ansible in ("invocation", "_ansible_new_secrets"):
            result.pop(of_ansible, None)
        if "warnings" in result:
            result["warnings"] = [_text_of(warning) for warning in result["warnings"]]
        return result

    return play_module


def _text_of(warning: Any) -> str:
    """Since 2.19 a warning is an event that holds its text."""
    return str(warning["event"]["msg"] if isinstance(warning, dict) else warning)
