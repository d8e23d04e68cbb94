# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever tasks and people without the key do to a registry in turn, a secret is only opened for where it was meant.

What a secret was meant for is worked out here from its declaration, without what the registry keeps.
"""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Callable

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils._connector.given import bounded

from ansible_collections.mailroom.core.plugins.module_utils._connector.declaration import (
    merge_declaration,
    parse_declaration,
)
from ansible_collections.mailroom.core.plugins.module_utils._connector.effective import derive_settings, resolve_preset
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret_destinations import destination_digest
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Wanted
from ansible_collections.mailroom.core.plugins.module_utils._errors import MailroomError

from .samples import declare, edit_file, edit_settings, open_registry

DATA = Path(__file__).parent / "data"
DECLARED = {
    entry["name"]: entry
    for entry in json.loads((DATA / "registry-0.1.0.json").read_text(encoding="utf-8"))["connectors"]
}
SECRETS = {name: parse_declaration(entry)[0].secrets for name, entry in DECLARED.items()}
ROWS = [(name, path) for name, secrets in SECRETS.items() for path in secrets]
COLUMNS = ["connector", "field", "key_id", "fingerprint", "token", "form", "mac"]

# What tasks may change without giving a secret again.
TASKS: list[dict[str, Any]] = [
    {"smtp": {"port": 465}},
    {"smtp": {"security": "tls"}},
    {"smtp": {"mechanisms": ["SCRAM-SHA-256"]}},
]

Place = tuple[str, str]
Step = tuple[Callable[..., object], tuple[Any, ...]]


def meant_for() -> dict[str, set[Place]]:
    """By secret: its field and every destination that it was declared for, or may get to by tasks."""
    found: dict[str, set[Place]] = {}
    for name, entry in DECLARED.items():
        declaration = parse_declaration(entry)[0]
        for count in range(len(TASKS) + 1):
            for changes in itertools.combinations(TASKS if "smtp" in entry else [], count):
                wanted = declaration.settings
                for change in changes:
                    wanted = merge_declaration(wanted, parse_declaration({"name": name, **change})[0])
                preset = resolve_preset(wanted, {}, {})
                holds = derive_settings(wanted, preset, declaration.secrets, name)
                for path, secret in declaration.secrets.items():
                    found.setdefault(secret.reveal(), set()).add((path, destination_digest(path, holds)))
    return found


MEANT_FOR = meant_for()


def execute(path: Path, statement: str, *values: Any) -> None:
    """One edit from outside; what the database itself does not take is no edit."""
    with suppress(sqlite3.IntegrityError):
        edit_file(path, statement, *values)


WHERE = "connector = (SELECT id FROM connector WHERE name = ?) AND field = ?"


def edit_field(path: Path, name: str, block: str, changes: dict[str, Any]) -> None:
    if block in DECLARED[name] or block == "imap":
        edit_settings(path, name, block, changes)


def edit_preset(path: Path, name: str) -> None:
    server = {"host": "evil.example.com", "port": 465, "security": "tls"}
    execute(path, "UPDATE connector SET preset = ? WHERE name = ?", json.dumps({"smtp": server, "imap": server}), name)


def copy_columns(path: Path, source: Place, target: Place, columns: list[str]) -> None:
    chosen = ", ".join(columns)
    query = f"UPDATE secret SET ({chosen}) = (SELECT {chosen} FROM secret WHERE {WHERE}) WHERE {WHERE}"
    execute(path, query, *source, *target)


def move_row(path: Path, source: Place, target: Place) -> None:
    execute(path, f"DELETE FROM secret WHERE {WHERE}", *target)
    query = f"UPDATE secret SET connector = (SELECT id FROM connector WHERE name = ?), field = ? WHERE {WHERE}"
    execute(path, query, *target, *source)


def exchange(path: Path, column: str, one: str, other: str) -> None:
    """Exchange what identifies two connectors."""
    with closing(sqlite3.connect(path)) as database:
        query = f"SELECT id, {column} FROM connector WHERE name IN (?, ?)"
        rows = database.execute(query, (one, other)).fetchall()
        if len(rows) == 2:
            (first, first_value), (second, second_value) = rows
            for value, row in (("between", first), (first_value, second), (second_value, first)):
                database.execute(f"UPDATE connector SET {column} = ? WHERE id = ?", (value, row))
        database.commit()


def put_old_token_back(path: Path, source: Place, target: Place) -> None:
    """A token in the old form, from a copy of the registry of that time."""
    with closing(sqlite3.connect(DATA / "registry-0.1.0.db")) as database:
        query = f"SELECT key_id, fingerprint, token FROM secret WHERE {WHERE}"
        row = database.execute(query, source).fetchone()
    execute(path, f"UPDATE secret SET (key_id, fingerprint, token, form) = (?, ?, ?, 1) WHERE {WHERE}", *row, *target)


def set_form(path: Path, target: Place, form: int) -> None:
    execute(path, f"UPDATE secret SET form = ? WHERE {WHERE}", form, *target)


def forget_marks(path: Path) -> None:
    execute(path, "DELETE FROM sealing_mark")


def run_task(path: Path, name: str, changes: dict[str, Any]) -> None:
    """A task with the key; it may well be refused."""
    try:
        declare(open_registry(path, None), {"name": name, **changes})
        event("a task succeeded")
    except MailroomError:
        event("a task was refused")


names = st.sampled_from(sorted(DECLARED))
rows = st.sampled_from(ROWS)
blocks = st.sampled_from(["smtp", "imap", "graph", "oauth2"])
fields = st.sampled_from(
    [
        {"host": "evil.example.com"},
        {"host": "mail.example.com"},
        {"port": 2526},
        {"port": 465},
        {"username": "other@example.com"},
        {"security": "none"},
        {"security": "tls"},
        {"validate_certs": False},
        {"ca_file": "/etc/evil.pem"},
        {"mechanisms": ["PLAIN", "CRAM-MD5"]},
        {"mechanisms": None},
        {"proxy": "http://evil.example.com:3128"},
        {"same_credentials": True},
        {"auth": "oauth2"},
        {"uri": "smtp://evil.example.com"},
        {"url": "https://evil.example.com"},
        {"authority": "https://evil.example.com"},
        {"token_url": "https://evil.example.com/token"},
        {"scope": "evil"},
    ]
)
steps: Any = st.one_of(
    st.tuples(st.just(edit_field), st.tuples(names, blocks, fields)),
    st.tuples(st.just(edit_field), st.tuples(names, blocks, fields)),
    st.tuples(st.just(edit_preset), st.tuples(names)),
    st.tuples(st.just(copy_columns), st.tuples(rows, rows, st.just(COLUMNS[2:]))),
    st.tuples(
        st.just(copy_columns), st.tuples(rows, rows, st.lists(st.sampled_from(COLUMNS[2:]), min_size=1, unique=True))
    ),
    st.tuples(st.just(move_row), st.tuples(rows, rows)),
    st.tuples(st.just(exchange), st.tuples(st.sampled_from(["identity", "name"]), names, names)),
    st.tuples(st.just(put_old_token_back), rows.flatmap(lambda row: st.tuples(st.just(row), st.just(row) | rows))),
    st.tuples(st.just(set_form), st.tuples(rows, st.sampled_from([1, 2, 3]))),
    st.tuples(st.just(forget_marks), st.tuples()),
    st.tuples(st.just(run_task), st.tuples(names, st.sampled_from([*TASKS, {"description": "new"}]))),
)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "registry.db"
    shutil.copy(DATA / "registry-0.1.0.db", path)
    shutil.copy(DATA / "registry-0.1.0.db.key", f"{path}.key")
    Path(f"{path}.key").chmod(0o600)
    with open_registry(path, None).writing():
        pass
    return path


@settings(bounded, max_examples=30)
@given(st.lists(steps, min_size=1, max_size=10))
def test_no_sequence_of_edits_and_tasks_opens_a_secret_for_another_place(migrated: Path, steps: list[Step]) -> None:
    path = migrated.with_name("edited.db")
    shutil.copy(migrated, path)
    shutil.copy(f"{migrated}.key", f"{path}.key")
    for step, arguments in steps:
        step(path, *arguments)
    with open_registry(path, None).reading() as reader:
        for connector in reader.load(Wanted()).connectors.values():
            for field, token in connector.secrets.items():
                try:
                    secret = reader.open_secret(str(token)).reveal()
                except MailroomError:
                    event("refused")
                    continue
                event("opened")
                assert (field, destination_digest(field, connector.effective_settings)) in MEANT_FOR[secret]


def test_every_secret_opens_for_what_it_was_meant_for(migrated: Path) -> None:
    with open_registry(migrated, None).reading() as reader:
        connectors = reader.load(Wanted()).connectors
        for name, path in ROWS:
            secret = reader.open_secret(str(connectors[name].secrets[path])).reveal()
            assert (path, destination_digest(path, connectors[name].effective_settings)) in MEANT_FOR[secret]
