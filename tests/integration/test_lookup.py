# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup connector, in templates on the controller."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.playing import Book, Stage

# With the newest ansible-core, test_secrets.py uses the lookup.
pytestmark = [pytest.mark.oldest, pytest.mark.matrix]

PASSWORD = "{{ 1 + 1 }} \"secret\" 'word'"
CONNECTORS = [
    {
        "name": "alerts",
        "from_address": "alerts@example.com",
        "smtp": {"host": "smtp.example.com", "username": "alerts@example.com", "password": "password of alerts"},
    },
    {
        "name": "strange",
        "from_address": "strange@example.com",
        "description": "{{ 1 + 1 }}",
        "smtp": {"host": "smtp.example.net", "username": "strange@example.com", "password": PASSWORD},
    },
]
LOOKUP = "mailroom.core.connector"
# By name: the expression, and what it gives.
GIVES: dict[str, tuple[str, Any]] = {
    "one": (f"lookup('{LOOKUP}', 'alerts').smtp.host", "smtp.example.com"),
    "derived": (f"lookup('{LOOKUP}', 'alerts').smtp.port", 587),
    "several": (f"query('{LOOKUP}', 'strange', 'alerts') | map(attribute='name') | list", ["strange", "alerts"]),
    "a list": (f"query('{LOOKUP}', ['strange', 'alerts']) | map(attribute='name') | list", ["strange", "alerts"]),
    "purpose": (f"lookup('{LOOKUP}', purpose='reports').resolved_by", "purpose"),
    "tenant": (f"lookup('{LOOKUP}', purpose='reports', tenant='acme').name", "strange"),
    "secrets": (f"lookup('{LOOKUP}', 'alerts', secrets=true).smtp.password", "password of alerts"),
    "no secrets": (f"lookup('{LOOKUP}', 'alerts').smtp.password is defined", False),
    "names of secrets": (f"lookup('{LOOKUP}', 'alerts').secrets", ["smtp.password"]),
    "unsafe": (f"lookup('{LOOKUP}', 'strange').description | length", len("{{ 1 + 1 }}")),
    "unsafe secret": (f"lookup('{LOOKUP}', 'strange', secrets=true).smtp.password | length", len(PASSWORD)),
    "registry": (f"lookup('{LOOKUP}', 'alerts', registry=mailroom_registry).name", "alerts"),
}
# By name: the expression, and what its error says.
SAYS = {
    "unknown": (f"lookup('{LOOKUP}', 'alrts')", "connector alrts: there is no such connector; did you mean alerts?"),
    "nothing": (f"lookup('{LOOKUP}')", "purpose: must be given where no connector is named, and only there"),
    "both": (f"lookup('{LOOKUP}', 'alerts', purpose='reports')", "purpose: must be given where no connector is named"),
    "tenant alone": (f"lookup('{LOOKUP}', 'alerts', tenant='acme')", "tenant: is of use with purpose only"),
    "option": (f"lookup('{LOOKUP}', 'alerts', secret=true)", "secret: there is no such option; did you mean secrets?"),
    "name": (f"lookup('{LOOKUP}', 'no name')", "name: must be 1 to 50 letters, digits or underscores"),
    "number": (f"lookup('{LOOKUP}', 5)", "_terms: must be names of connectors"),
    "null": (f"lookup('{LOOKUP}', none, secrets=true)", "_terms: must be names of connectors"),
    "registry": (f"lookup('{LOOKUP}', 'alerts', registry='/nowhere/at.db')", "There is no registry /nowhere/at.db on"),
    "relative": (f"lookup('{LOOKUP}', 'alerts', registry='at.db')", "registry must be the absolute path"),
    "key": (
        f"lookup('{LOOKUP}', 'alerts', secrets=true, registry_key_file='/nowhere/key')",
        "the key they are sealed with is missing",
    ),
    "purpose": (f"lookup('{LOOKUP}', purpose='nothing at all')", "purpose: must be 1 to 100 letters"),
}


@pytest.fixture(scope="module")
def played() -> Iterator[dict[str, str]]:
    """What each expression came to."""
    with tempfile.TemporaryDirectory(prefix="mailroom-", dir="/tmp") as folder:
        book = Book(Stage(Path(folder)))
        variables = {"mailroom_registry": "{{ folder }}/registry.db", "folder": folder}
        bound = {"reports": "alerts", "reports@acme": "strange"}
        declare = {"connectors": CONNECTORS, "purposes": bound, "registry": "{{ mailroom_registry }}"}
        raw = book.stage.write("connectors.json", declare["connectors"])
        declare["connectors"] = f"{{{{ lookup('file', '{raw}') | from_json }}}}"
        book.add("declared", [{"mailroom.core.connectors": declare}], vars=variables)
        # In one task, since each process that Ansible forks for one imports anew what the lookup imports.
        expected = {name: gives for name, (_expression, gives) in GIVES.items()}
        told = {name: f"{{{{ ({GIVES[name][0]}) == expected['{name}'] }}}}" for name in GIVES}
        book.add("gives", [{"ansible.builtin.debug": {"msg": told}}], vars={**variables, "expected": expected})
        for name, (expression, _error) in SAYS.items():
            show = {"ansible.builtin.debug": {"msg": f"{{{{ {expression} }}}}"}}
            book.add(f"says {name}".replace(" ", "_"), [show], vars=variables)
        yield book.play()


def test_connectors_are_declared(played: dict[str, str]) -> None:
    assert not played["declared"].startswith("FAILED"), played["declared"]


@pytest.mark.parametrize("name", GIVES)
def test_lookup_gives(played: dict[str, str], name: str) -> None:
    said = played["gives"]
    assert not said.startswith("FAILED"), said
    assert json.loads(said[said.index("{") : said.rindex("}") + 1])["msg"][name] is True, said


@pytest.mark.parametrize(("name", "error"), [(name, error) for name, (_expression, error) in SAYS.items()])
def test_lookup_says_what_is_wrong(played: dict[str, str], name: str, error: str) -> None:
    said = played[f"says {name}".replace(" ", "_")]
    assert said.startswith("FAILED")
    assert error in " ".join(said.split()), said
