# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The house: who may know whom, and what no room may hold."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[4]
PLUGINS = ROOT / "plugins"
MODULE_UTILS = PLUGINS / "module_utils"
COLLECTION = "ansible_collections.mailroom.core.plugins."

FLOORS = {
    "_module": 7,
    "_report": 6,
    "_check": 6,
    "_message": 4,
    "_target": 5,
    "_protocol": 3,
    "_net": 2,
    "_auth": 2,
    "_registry": 2,
    "_argspec": 2,
    "_connector": 1,
    "_verdict": 1,
    "_files": 1,
    "_errors": 0,
}
# The one room near the ground that is there for input and output.
OPENS_FILES = "_files"
NEVER_AT_THE_TOP = {"cryptography", "msal", "imapclient", "psycopg", "requests", "yaml"}
MAY_REVEAL = {
    "_connector/redaction.py",
    "_connector/secret.py",
    "_connector/validity.py",
    "_registry/key_source.py",
    "_registry/postgresql/database.py",
    "_registry/sealing.py",
    "_auth/",
    "_protocol/",
    "_net/",
    "_target/",
}
PRIVATE = "# This file is private to the collection mailroom.core and may change at any time."
SPDX = "# SPDX-License-{}: GPL-3.0-or-later".format("Identifier")
COPYRIGHT = "# Copyright the mailroom.core contributors"

FILES = sorted(MODULE_UTILS.rglob("*.py"))
MODULES = sorted((PLUGINS / "modules").glob("*.py"))
FILTERS = sorted((PLUGINS / "filter").glob("*.py"))
LOOKUPS = sorted((PLUGINS / "lookup").glob("*.py"))
ACTIONS = sorted((PLUGINS / "action").glob("*.py"))
FOR_ACTIONS = [PLUGINS / "plugin_utils" / "_verify.py"]
FOR_LOOKUPS = [PLUGINS / "plugin_utils" / name for name in ("_connectors.py", "_failures.py")]
FOR_FILTERS = sorted({*(PLUGINS / "plugin_utils").glob("*.py")} - {*FOR_ACTIONS, *FOR_LOOKUPS})
EVERYTHING = [*FILES, *MODULES, *FILTERS, *LOOKUPS, *ACTIONS, *FOR_ACTIONS, *FOR_LOOKUPS, *FOR_FILTERS]
# What the controller may know: what a connector is, and what it shows of that.
KNOWN_TO_FILTERS = (
    "__future__.",
    "ansible.errors.",
    ".plugin_utils.",
    ".module_utils._connector.",
    ".module_utils._errors.",
    ".module_utils._registry.postgresql.location.",  # it parses a text
    ".module_utils._report.",
)


class Import(NamedTuple):
    """One imported module, and whether that happens as soon as the file is imported."""

    name: str
    at_the_top: bool
    line: int


def path_in(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def named(path: Path) -> str:
    return path_in(path, PLUGINS)


class Source(NamedTuple):
    """What the rules ask of a file."""

    imports: tuple[Import, ...]
    calls: frozenset[str]
    asserts: tuple[int, ...]
    # The lines on which a secret is given away, called or handed on.
    reveals: tuple[int, ...]
    has_docstring: bool


@cache
def read_source(source: str, package: tuple[str, ...] = ()) -> Source:
    """Look through a file of this package (below plugins) once; the collection's own names begin with a dot."""
    tree = ast.parse(source)
    imports: list[Import] = []
    calls: set[str] = set()
    asserts: list[int] = []
    reveals: list[int] = []
    waiting: list[tuple[ast.AST, bool]] = [(tree, True)]
    while waiting:
        node, at_the_top = waiting.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = (
                [each.name for each in node.names] if isinstance(node, ast.Import) else _imported_from(node, package)
            )
            for name in names:
                own = "." + name[len(COLLECTION) :] if name.startswith(COLLECTION) else name
                imports.append(Import(own, at_the_top, node.lineno))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            calls.add(node.func.id)
        elif isinstance(node, ast.Assert):
            asserts.append(node.lineno)
        elif (isinstance(node, ast.Attribute) and node.attr in ("reveal", "_value")) or (
            isinstance(node, ast.Constant) and node.value in ("reveal", "_value")
        ):
            reveals.append(node.lineno)
        inside = at_the_top and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        waiting += [(child, inside) for child in ast.iter_child_nodes(node)]
    docstring = ast.get_docstring(tree)
    return Source(tuple(imports), frozenset(calls), tuple(asserts), tuple(sorted(reveals)), bool(docstring))


def _imported_from(node: ast.ImportFrom, package: tuple[str, ...]) -> list[str]:
    base = node.module or ""
    if node.level:
        base = "." + ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
    return [f"{base}.{each.name}" for each in node.names]


def room_of(path: Path) -> str:
    return path.relative_to(MODULE_UTILS).parts[0].removesuffix(".py")


def source_of(path: Path) -> Source:
    return read_source(path.read_text(), path.relative_to(PLUGINS).parent.parts)


def imports_in(path: Path) -> tuple[Import, ...]:
    return source_of(path).imports


def disallowed(path: Path) -> list[str]:
    """The imports of other rooms that a file must not know."""
    own = room_of(path)
    found = []
    for each in imports_in(path):
        if not each.name.startswith("."):
            continue
        parts = each.name[1:].split(".")
        room = parts[1] if parts[0] == "module_utils" and len(parts) > 1 else parts[0]
        if room != own and FLOORS.get(room, 99) >= FLOORS[own]:
            found.append(f"line {each.line} imports {each.name}")
    return found


def roots(imports: Iterable[Import]) -> set[str]:
    return {each.name.partition(".")[0] for each in imports if not each.name.startswith(".")}


def offenders(paths: Iterable[Path], faults_of: Callable[[Path], object]) -> dict[str, object]:
    """The files that break a rule, each with what is wrong in it."""
    return {named(path): faults for path in paths for faults in [faults_of(path)] if faults}


def test_there_are_files_to_look_at() -> None:
    assert {room_of(path) for path in FILES} >= {"_argspec", "_connector", "_errors", "_module", "_registry"}
    assert {path.stem for path in MODULES} >= {"connector", "connectors", "connector_info", "connector_purpose"}


def test_every_file_belongs_to_a_package_of_a_known_layer() -> None:
    assert {room_of(path) for path in FILES} == set(FLOORS)


def test_file_imports_only_from_layers_below_its_own_or_its_own_package() -> None:
    assert offenders(FILES, disallowed) == {}


def test_packages_of_this_collection_are_imported_by_relative_names() -> None:
    assert offenders(FILES, lambda path: "ansible_collections" in path.read_text()) == {}


def test_only_the_bodies_of_modules_import_ansible() -> None:
    others = [path for path in FILES if room_of(path) != "_module"]
    assert offenders(others, lambda path: roots(imports_in(path)) & {"ansible", "ansible_collections"}) == {}


def test_module_imports_nothing_but_its_body_and_perhaps_the_tester() -> None:
    def unexpected(path: Path) -> set[str]:
        imported = {each.name for each in imports_in(path) if not each.name.startswith("__future__.")}
        body = path.stem.removeprefix("_").removesuffix("_verify")
        tester = {".module_utils._module.verify.Verification"} if path.stem.endswith("_verify") else set()
        return imported ^ {f".module_utils._module.{body}.run_module", *tester}

    assert offenders(MODULES, unexpected) == {}


def test_heavy_imports_wait_until_they_are_needed() -> None:
    def early(path: Path) -> set[str]:
        return roots([each for each in imports_in(path) if each.at_the_top]) & NEVER_AT_THE_TOP

    assert offenders(FILES, early) == {}


def test_nothing_is_imported_but_python_ansible_and_the_known_libraries() -> None:
    known = {*sys.stdlib_module_names, "ansible"} | NEVER_AT_THE_TOP
    assert offenders(FILES, lambda path: roots(imports_in(path)) - known) == {}


def imports_of_io(path: Path) -> set[str]:
    io = {"io", "os", "pathlib", "shutil", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "urllib", "http"}
    return roots(imports_in(path)) & (io | {"smtplib", "imaplib", "asyncio", "logging"})


def calls_of_io(path: Path) -> frozenset[str]:
    return source_of(path).calls & {"open", "print", "input", "exec", "eval", "compile"}


def is_pure(path: Path) -> bool:
    return (FLOORS.get(room_of(path), 9) <= 1 and room_of(path) != OPENS_FILES) or room_of(path) == "_report"


def test_lowest_layers_and_reports_do_no_input_or_output() -> None:
    assert offenders(filter(is_pure, FILES), lambda path: imports_of_io(path) | calls_of_io(path)) == {}


def test_filter_imports_no_servers_and_no_registry() -> None:
    def unexpected(path: Path) -> set[str]:
        others = {each.name for each in imports_in(path) if not each.name.startswith(KNOWN_TO_FILTERS)}
        return ({name.partition(".")[0] for name in others} - sys.stdlib_module_names) | imports_of_io(path)

    assert offenders([*FILTERS, *FOR_FILTERS], unexpected) == {}


def test_action_imports_nothing_but_how_tasks_are_run() -> None:
    known = ("__future__.", "collections.", "typing.", "ansible.plugins.action.", ".plugin_utils.")

    def unexpected(path: Path) -> list[str]:
        return [each.name for each in imports_in(path) if not each.name.startswith(known)]

    assert offenders([*ACTIONS, *FOR_ACTIONS], unexpected) == {}


def test_no_plugin_asserts() -> None:
    assert offenders(EVERYTHING, lambda path: source_of(path).asserts) == {}


def test_private_file_begins_with_copyright_licence_and_privacy_note_and_has_a_docstring() -> None:
    def incomplete(path: Path) -> bool:
        head = path.read_text().splitlines()[:5]
        return head != [COPYRIGHT, SPDX, "", PRIVATE, ""] or not source_of(path).has_docstring

    assert offenders([*FILES, *FOR_ACTIONS, *FOR_LOOKUPS, *FOR_FILTERS], incomplete) == {}


def test_private_file_or_its_package_has_a_name_with_an_underscore() -> None:
    private = [*FILES, *FOR_ACTIONS, *FOR_LOOKUPS, *FOR_FILTERS]
    assert offenders(private, lambda path: not path.relative_to(PLUGINS).parts[1].startswith("_")) == {}


def test_module_begins_with_interpreter_copyright_and_licence() -> None:
    def missing(path: Path) -> set[str]:
        head = path.read_text().splitlines()[:5]
        return {"#!/usr/bin/python"} - {head[0]} | {COPYRIGHT, SPDX} - {*head}

    assert offenders(MODULES, missing) == {}


def test_every_annotation_is_read_late() -> None:
    def early(path: Path) -> bool:
        return "__future__.annotations" not in {each.name for each in imports_in(path)}

    assert offenders(EVERYTHING, early) == {}


def may_reveal(path: Path) -> bool:
    name = path_in(path, MODULE_UTILS)
    return any(name == each or (each.endswith("/") and name.startswith(each)) for each in MAY_REVEAL)


def test_secret_is_revealed_in_known_places_only() -> None:
    others = [path for path in FILES if not may_reveal(path)]
    assert offenders(others, lambda path: source_of(path).reveals) == {}


FORBIDDEN: list[tuple[str, str]] = [
    ("_connector", "from .._registry import sqlite"),
    ("_connector", "from .._module.task import run"),
    ("_connector", "def late():\n    from .._argspec import ArgumentSpec"),
    ("_connector", "from .._verdict import table"),
    ("_connector", "from ... import modules"),
    ("_connector", f"import {COLLECTION}module_utils._registry.sqlite"),
    ("_connector", f"from {COLLECTION}module_utils import _registry"),
    ("_connector", "from .._unknown import anything"),
    ("_registry", "from .._argspec import ArgumentSpec"),
    ("_registry", "from .._auth import anything"),
    ("_registry", "from .._module import task"),
]
ALLOWED: list[tuple[str, str]] = [
    ("_connector", "from . import checks"),
    ("_connector", "from .checks import host"),
    ("_connector", "from .._errors import Problem"),
    ("_registry", "from .._connector.plan import Plan"),
    ("_module", "from .._registry.registry import Reader"),
]


@pytest.fixture
def disallowed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], list[str]]:
    """What is found in a file with this source in a package."""
    monkeypatch.setitem(globals(), "PLUGINS", tmp_path)
    monkeypatch.setitem(globals(), "MODULE_UTILS", tmp_path / "module_utils")

    def found(package: str, source: str) -> list[str]:
        path = tmp_path / "module_utils" / package / "file.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        return disallowed(path)

    return found


def test_import_from_above_or_beside_would_be_found(disallowed_in: Callable[[str, str], list[str]]) -> None:
    assert [(package, source) for package, source in FORBIDDEN if not disallowed_in(package, source)] == []


def test_import_from_below_or_the_own_package_is_fine(disallowed_in: Callable[[str, str], list[str]]) -> None:
    assert [(package, source) for package, source in ALLOWED if disallowed_in(package, source)] == []


def test_heavy_import_would_be_found_at_the_top_only() -> None:
    source = "import msal\ndef late():\n    import cryptography.fernet\nif True:\n    from requests import get\n"
    assert roots([each for each in read_source(source).imports if each.at_the_top]) == {"msal", "requests"}


def test_revealed_secret_would_be_found() -> None:
    source = "secret.reveal()\nmap(Secret.reveal, x)\ngetattr(secret, 'reveal')\nsecret._value\n"
    assert read_source(source).reveals == (1, 2, 3, 4)
