# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the callback does before it sends.

In a Python of its own: what a callback imports has Ansible take modules in the same process for code of the controller.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys
from types import SimpleNamespace
from ansible_collections.mailroom.core.plugins.callback.mail_failures import CallbackModule

found = []
for deadline in map(float, sys.argv[1:]):
    sent, warnings = [], []
    callback = CallbackModule()
    callback.get_option = {"deadline": deadline}.__getitem__
    callback._send = lambda _stats, within, _warnings: sent.append(within)
    callback._display = SimpleNamespace(warning=warnings.append)
    callback.v2_playbook_on_stats(SimpleNamespace(failures={"web1": 1}, dark={}))
    found.append([len(sent), warnings])
print(json.dumps(found))
"""
WARNING = "mailroom.core.mail_failures: deadline: must be a number from 0.1 to 86400"


@pytest.mark.parametrize(
    ("deadlines", "sent", "warnings"),
    [
        (["inf", "-inf", "nan", "1e10", "86401", "0.09", "0", "-1"], 0, [WARNING]),
        (["0.1", "86400"], 1, []),
    ],
)
def test_a_deadline_beyond_its_limits_sends_nothing(deadlines: list[str], sent: int, warnings: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": os.environ["ANSIBLE_COLLECTIONS_PATH"]}
    command = [sys.executable, "-c", PROGRAM, *deadlines]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[sent, warnings]] * len(deadlines)
