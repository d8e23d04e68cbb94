# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the callback and the lookup do with odd values, each in a Python of its own.

What they import has Ansible take modules in the same process for code of the controller.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CALLBACK = """
import json, sys
from types import SimpleNamespace
from ansible_collections.mailroom.core.plugins.callback.mail_failures import CallbackModule

found = []
for deadline in json.loads(sys.argv[1]):
    sent, warnings = [], []
    callback = CallbackModule()
    callback.get_option = {"deadline": float(deadline)}.__getitem__
    callback._send = lambda _stats, within, _warnings: sent.append(within)
    callback._display = SimpleNamespace(warning=warnings.append)
    callback.v2_playbook_on_stats(SimpleNamespace(failures={"web1": 1}, dark={}))
    found.append([len(sent), warnings])
print(json.dumps(found))
"""
LOOKUP = """
import json, sys
from ansible.errors import AnsibleLookupError
from ansible_collections.mailroom.core.plugins.lookup.connector import LookupModule

found = []
for term in json.loads(sys.argv[1]):
    try:
        found.append(LookupModule().run([term]))
    except AnsibleLookupError as error:
        found.append(str(error))
print(json.dumps(found))
"""
OPTIONS = """
import json, sys
from contextlib import suppress
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, lookup_loader
from ansible.template import Templar

init_plugin_loader()
found = []
for variables, direct in json.loads(sys.argv[1]):
    loader = DataLoader()
    lookup = lookup_loader.get("mailroom.core.connector", loader=loader, templar=Templar(loader, variables))
    with suppress(AnsibleLookupError):
        lookup.run(["alerts"], variables, **direct)
    found.append([lookup.get_option(option) for option in ("registry", "registry_key", "registry_password")])
print(json.dumps(found))
"""
HOSTS = """
import json, sys
from ansible.plugins.loader import init_plugin_loader

init_plugin_loader([])
from ansible_collections.mailroom.core.plugins.lookup.hosts import LookupModule

lookup = LookupModule()
lookup.set_options = lambda **_given: None
lookup.get_option = {"allow_empty": True}.__getitem__
lookup.run(json.loads(sys.argv[1]), {})
filters = "ansible_collections.mailroom.core.plugins.filter."
print(json.dumps([name.removeprefix(filters) for name in sys.modules if name.startswith(filters)]))
"""


def run(program: str, values: list[Any]) -> Any:
    environment = {**os.environ, "PYTHONPATH": os.environ["ANSIBLE_COLLECTIONS_PATH"]}
    command = [sys.executable, "-c", program, json.dumps(values)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("deadlines", "sent", "warnings"),
    [
        (
            ["inf", "-inf", "nan", "1e10", 86401, 0.09, 0, -1],
            0,
            ["mailroom.core.mail_failures: deadline: must be a number from 0.1 to 86400"],
        ),
        ([0.1, 86400], 1, []),
    ],
)
def test_a_deadline_beyond_its_limits_sends_nothing(deadlines: list[Any], sent: int, warnings: list[str]) -> None:
    assert run(CALLBACK, deadlines) == [[sent, warnings]] * len(deadlines)


def test_term_of_the_lookup_that_is_no_text_is_refused() -> None:
    found = run(LOOKUP, [None, 5, True, {"name": "alerts"}, ["alerts", None]])
    assert len(found) == 5
    assert all("_terms: must be names of connectors" in each for each in found)


def test_what_is_empty_leaves_the_lookup_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = ["/nowhere/at.db", "key of the environment", "password of the environment"]
    names = ["registry", "registry_key", "registry_password"]
    for name, value in zip(names, environment):
        monkeypatch.setenv(f"MAILROOM_{name.upper()}", value)
    empty = {f"mailroom_{name}": "{{ nothing }}" for name in names} | {"nothing": ""}
    named = {"mailroom_registry": "/nowhere/{{ file }}", "file": "named.db"}
    found = run(OPTIONS, [[empty, {}], [{}, dict.fromkeys(names, "")], [{**empty, **named}, {"registry_key": "k"}]])
    assert found == [environment, environment, ["/nowhere/named.db", "k", environment[2]]]


def test_hosts_loads_the_filters_for_all_processes_that_are_forked_later() -> None:
    filters = Path(__file__).resolve().parents[3] / "plugins" / "filter"
    assert set(run(HOSTS, ["all"])) == {path.stem for path in filters.glob("*.py")}
