# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module as any user, and with any harm done to it; where that needs one, in a process forked from the test."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Any, Callable, NoReturn
from unittest import mock

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common import warnings
from task_modules import module_for

MODULES = "ansible_collections.mailroom.core.plugins.modules"
BODIES = "ansible_collections.mailroom.core.plugins.module_utils._module"
# What is imported later a process of another user may be unable to read.
PRELOADED = (
    "encodings.ascii",
    "cryptography.fernet",
    "yaml",
    "sqlite3",
    f"{BODIES.rpartition('.')[0]}._registry.sqlite.storage",
    f"{BODIES.rpartition('.')[0]}._message.compose",
)
# Only where something hangs.
PATIENCE_SECONDS = 120
# Only where something endless is read.
MOST_MEMORY = 4 << 30


def require_root() -> None:
    """Files of several users can only be made by root."""
    if os.geteuid() == 0:
        return
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail("files of several users can only be made by root")
    pytest.skip("files of several users can only be made by root")


def run_module(
    module: str,
    options: dict[str, Any],
    *,
    user: int = 0,
    check: bool = False,
    before: Callable[[], None] | None = None,
) -> dict[str, Any] | None:
    """The module's result, or None where its process was killed.

    It runs within the test; as another user, or with something that is called `before`, in a process forked from it,
    which takes five times as long.
    """
    arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": True}
    played = importlib.import_module(f"{MODULES}.{module_for(module, options)}")
    printed = _run_in_child(played, arguments, user, before) if user or before else _run_here(played, arguments)
    if printed is None:
        return None
    result: dict[str, Any] = json.loads(printed)
    assert "exception" not in result
    for of_ansible in ("invocation", "_ansible_new_secrets"):
        result.pop(of_ansible, None)
    if "warnings" in result:
        result["warnings"] = [each["event"]["msg"] if isinstance(each, dict) else each for each in result["warnings"]]
    return result


def _run_here(played: Any, arguments: dict[str, Any]) -> str:
    output, errors = io.StringIO(), io.StringIO()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    former = signal.signal(signal.SIGALRM, lambda _number, _frame: pytest.fail("the module hangs"))
    signal.alarm(PATIENCE_SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, limits[1]))
    try:
        with (
            mock.patch.object(basic, "_ANSIBLE_ARGS", None),
            mock.patch.object(basic, "_ANSIBLE_PROFILE", None, create=True),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(errors),
        ):
            _hand_over(arguments)
            with contextlib.suppress(SystemExit):
                played.main()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)
    assert errors.getvalue() == ""
    return output.getvalue()


def _run_in_child(played: Any, arguments: dict[str, Any], user: int, before: Callable[[], None] | None) -> str | None:
    for name in PRELOADED:
        importlib.import_module(name)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            # A collection would write to every page that it shares with the large process of the tests.
            gc.freeze()
            _play(played, arguments, user, before, (output.fileno(), errors.fileno()))
        _pid, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return None
        output.seek(0)
        errors.seek(0)
        run_check = errors.read().decode()
        assert (os.WIFSIGNALED(status), run_check) == (False, ""), run_check
        return output.read().decode()


def _hand_over(arguments: dict[str, Any]) -> None:
    """Have the next module in this process find its arguments, and no warnings of another."""
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    # Since 2.19 a profile says how the JSON is to be read; before, there is no such thing.
    setattr(basic, "_ANSIBLE_PROFILE", "legacy")  # noqa: B010
    for kept_between_modules in ("_global_warnings", "_global_deprecations"):
        setattr(warnings, kept_between_modules, type(getattr(warnings, kept_between_modules))())


def _play(
    played: Any, arguments: dict[str, Any], user: int, before: Callable[[], None] | None, outputs: Sequence[int]
) -> NoReturn:
    code = 1
    try:
        signal.alarm(PATIENCE_SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        for number, output in enumerate(outputs, 1):
            os.dup2(output, number)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8")
        sys.stderr = os.fdopen(2, "w", encoding="utf-8")
        if user:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        _hand_over(arguments)
        if before:
            before()
        with contextlib.suppress(SystemExit):
            played.main()
        code = 0
    except BaseException:  # noqa: BLE001  the test is told of it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
