# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module as its own process: `python module_process.py MODULE [--profile] < arguments.json`.

With --profile it says on standard error where the time went, as JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import typing as t

PARTS = {
    "options read and checked": ("task.py", "parse_options"),
    "declarations read": ("connectors.py", "parse_request"),
    "registry read": ("registry.py", "load"),
    "plan made": ("planning.py", "make_plan"),
    "registry written": ("registry.py", "apply"),
    "result masked and printed": ("basic.py", "exit_json"),
}


def main() -> None:
    """Hands the arguments over as Ansible does, and runs the module."""
    started = time.perf_counter()
    from ansible.module_utils import basic

    basic_done = time.perf_counter()
    basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
    basic._ANSIBLE_PROFILE = "legacy"
    module = importlib.import_module(sys.argv[1])
    imported = time.perf_counter()
    if "--profile" not in sys.argv:
        module.main()
        return
    parts = {"imports of Ansible": basic_done - started, "imports of the collection": imported - basic_done}
    print(json.dumps({**parts, **_parts(module.main)}), file=sys.stderr)


def _parts(main: t.Callable[[], object]) -> dict[str, float]:
    """The cumulated time of the functions that stand for a part; profiling itself makes all of them slower."""
    # Imported here, so that a process that is only measured does not pay for them.
    import contextlib
    import cProfile
    import io
    import pstats
    from pathlib import Path

    profile = cProfile.Profile()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        profile.runcall(main)
    found = dict.fromkeys(PARTS, 0.0)
    for (file, _line, function), (_calls, _primitive, _own, cumulated, _callers) in pstats.Stats(profile).stats.items():
        for part, (name, wanted) in PARTS.items():
            if function == wanted and Path(file).name == name:
                found[part] = max(found[part], cumulated)
    return found


if __name__ == "__main__":
    main()
