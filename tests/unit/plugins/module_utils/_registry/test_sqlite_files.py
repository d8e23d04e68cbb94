# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may lie where the registry is looked for, and what the user is told."""

from __future__ import annotations

import os
import re
import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Callable

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Purpose, State
from ansible_collections.mailroom.core.plugins.module_utils._errors import RegistryError
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry
from ansible_collections.mailroom.core.plugins.module_utils._registry.sqlite import schema
from ansible_collections.mailroom.core.plugins.module_utils._registry.sqlite.storage import SqliteBackend

from .processes import forked, without_privileges
from .samples import ask_file, declare, entry, everything, folder_content, open_registry, secrets


def use(registry: Registry, verb: str) -> None:
    if verb == "read":
        everything(registry)
    else:
        declare(registry, entry("new", "password"))


def refusal(registry: Registry, verb: str) -> str:
    with pytest.raises(RegistryError) as refused:
        use(registry, verb)
    return str(refused.value)


def sentence_or_nothing(registry: Registry, verb: str) -> str:
    try:
        use(registry, verb)
    except RegistryError as refused:
        return str(refused)
    return ""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


class TestNothingThere:
    def test_missing_registry_reads_as_empty_and_is_not_made(self, path: Path) -> None:
        registry = open_registry(path)
        assert not registry.exists()
        assert everything(registry) == State()
        assert list(path.parent.iterdir()) == []

    def test_missing_folder_is_not_made_by_a_reader(self, tmp_path: Path) -> None:
        assert everything(open_registry(tmp_path / "a" / "b" / "registry.db")) == State()
        assert list(tmp_path.iterdir()) == []

    def test_an_empty_file_is_an_empty_registry(self, path: Path) -> None:
        path.touch()
        registry = open_registry(path)
        assert not registry.exists()
        assert everything(registry) == State()
        assert path.read_bytes() == b""
        declare(registry, entry("a"))
        assert registry.exists()
        assert list(everything(registry).connectors) == ["a"]

    def test_missing_folders_are_made_by_the_first_change(self, tmp_path: Path) -> None:
        registry = open_registry(tmp_path / "a" / "b" / "registry.db")
        declare(registry, entry("a"))
        assert list(everything(registry).connectors) == ["a"]


def make_text(path: Path) -> None:
    path.write_text("connectors:\n  - name: prod\n" * 50)


def make_short_text(path: Path) -> None:
    path.write_text("x\n")


def make_noise(path: Path) -> None:
    path.write_bytes(bytes((number * number) % 251 for number in range(20_000)))


def make_zeros(path: Path) -> None:
    path.write_bytes(bytes(8192))


def make_foreign_database(path: Path, *more: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in ("CREATE TABLE connector (name TEXT)", "INSERT INTO connector VALUES ('x')", *more):
            database.execute(statement)


def make_foreign_database_with_versions(path: Path) -> None:
    make_foreign_database(path, "PRAGMA application_id = 4711", "PRAGMA user_version = 99")


def make_foreign_database_without_tables(path: Path) -> None:
    ask_file(path, "PRAGMA application_id = 4711")
    ask_file(path, "PRAGMA user_version = 1")


def make_newer(path: Path) -> None:
    declare(open_registry(path), entry("a"))
    ask_file(path, f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")


def make_truncated(path: Path) -> None:
    declare(open_registry(path), *(entry(f"c{number}") for number in range(200)))
    os.truncate(path, path.stat().st_size // 2)


def make_damaged(path: Path) -> None:
    declare(open_registry(path), *(entry(f"c{number}") for number in range(200)))
    content = bytearray(path.read_bytes())
    content[4096 : len(content)] = b"\xaa" * (len(content) - 4096)
    path.write_bytes(content)


NO_REGISTRY = "The registry {path} cannot be {verb}: the file is no registry."
FOREIGN = "{path} is a database, but not a registry of mailroom.core."
DAMAGED = "The registry {path} cannot be {verb}: the file is damaged; put back a copy."
NEWER = (
    "The registry {path} was written by a newer version of mailroom.core (its schema is"
    f" {len(schema.MIGRATIONS) + 1}, this one knows {len(schema.MIGRATIONS)}): upgrade the collection."
)
FILES: list[tuple[Callable[[Path], None], str]] = [
    (make_text, NO_REGISTRY),
    (make_short_text, NO_REGISTRY),
    (make_noise, NO_REGISTRY),
    (make_zeros, NO_REGISTRY),
    (make_foreign_database, FOREIGN),
    (make_foreign_database_with_versions, FOREIGN),
    (make_foreign_database_without_tables, FOREIGN),
    (make_newer, NEWER),
    (make_truncated, DAMAGED),
    (make_damaged, DAMAGED),
]


class TestSomethingElseThere:
    @pytest.mark.parametrize(("make", "told"), FILES, ids=[make.__name__[5:] for make, told in FILES])
    def test_file_that_is_no_registry_is_refused_and_left_alone(
        self, path: Path, make: Callable[[Path], None], told: str
    ) -> None:
        make(path)
        before = folder_content(path.parent)
        for verb in ("read", "changed"):
            assert refusal(open_registry(path), verb) == told.format(path=path, verb=verb)
            assert folder_content(path.parent) == before

    def test_foreign_database_with_a_write_ahead_log_is_refused(self, path: Path) -> None:
        make_foreign_database(path, "PRAGMA user_version = 3")
        ask_file(path, "PRAGMA journal_mode = WAL")
        before = folder_content(path.parent)
        for verb in ("read", "changed"):
            assert refusal(open_registry(path), verb) == FOREIGN.format(path=path)
            assert folder_content(path.parent) == before

    def test_folder_is_refused(self, path: Path) -> None:
        path.mkdir()
        for verb in ("read", "changed"):
            told = refusal(open_registry(path), verb)
            assert told == f"The registry {path} cannot be {verb}: {path} must be a regular file, but is a directory."
        assert folder_content(path.parent) == {"registry.db": None}

    def test_path_below_a_file_is_refused(self, path: Path) -> None:
        path.write_text("text")
        for verb in ("read", "changed"):
            told = refusal(open_registry(path / "registry.db"), verb)
            pattern = rf"The registry {re.escape(str(path))}/registry\.db cannot be .*: Not a directory\."
            assert re.fullmatch(pattern, told)
        assert folder_content(path.parent) == {"registry.db": b"text"}

    def test_name_that_is_too_long_is_refused(self, tmp_path: Path) -> None:
        for verb in ("read", "changed"):
            told = refusal(open_registry(tmp_path / ("x" * 300)), verb)
            assert told.endswith(": File name too long.")
        assert list(tmp_path.iterdir()) == []

    def test_name_with_nul_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(RegistryError):
            SqliteBackend(f"{tmp_path}/a\0b")
        assert list(tmp_path.iterdir()) == []


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {columns} FROM n"
NO_PURPOSES = ENDLESS.format(columns="'x' AS name, '' AS tenant, i AS connector")
NO_CONNECTORS = ENDLESS.format(columns="i AS id, 'x' || i AS name, 1 AS enabled")
CHANGED_TABLES: dict[str, tuple[str, str]] = {
    "trigger": (
        "CREATE TRIGGER t AFTER UPDATE ON connector BEGIN DELETE FROM secret; END",
        "unknown trigger t",
    ),
    "endless view": (f"CREATE VIEW v AS {NO_CONNECTORS}", "unknown view v"),
    "endless view in place of the purposes": (
        f"ALTER TABLE purpose RENAME TO p; CREATE VIEW purpose AS {NO_PURPOSES}",
        "unknown table p, unknown view purpose, missing table purpose",
    ),
    "endless view in place of the connectors": (
        f"ALTER TABLE connector RENAME TO c; CREATE VIEW connector AS {NO_CONNECTORS}",
        "unknown index sqlite_autoindex_c_1, unknown table c, unknown view connector, …",
    ),
    "another table": ("CREATE TABLE more (text)", "unknown table more"),
    "table with an odd name": ('CREATE TABLE "\x1b[2J\n" (text)', "unknown table ?[2J?"),
    "no table of secrets": (
        "DROP TABLE secret",
        "missing index secret_in_old_form, missing index secret_key, missing table secret",
    ),
    "another column": ("ALTER TABLE secret ADD COLUMN note TEXT", "changed table secret"),
    "another order of columns": (
        "DROP TABLE registry; CREATE TABLE registry (note TEXT, id TEXT NOT NULL)",
        "changed table registry",
    ),
    "no index": ("DROP INDEX secret_key", "missing index secret_key"),
    "index of another column": (
        "DROP INDEX one_default; CREATE UNIQUE INDEX one_default ON connector (id) WHERE is_default",
        "changed index one_default",
    ),
    "index that is not unique": (
        "DROP INDEX one_default; CREATE INDEX one_default ON connector (is_default) WHERE is_default",
        "changed index one_default",
    ),
    "version that is older than the tables": ("PRAGMA user_version = 0", "unknown index application_of_connector, "),
    "negative version": ("PRAGMA user_version = -7", "unknown index application_of_connector, "),
}


class TestTablesThatSomebodyChanged:
    """No code in the file is run, and no query on it is endless."""

    @pytest.mark.parametrize("kind", CHANGED_TABLES)
    def test_changed_tables_are_refused_in_one_sentence(self, path: Path, kind: str) -> None:
        statements, difference = CHANGED_TABLES[kind]
        declare(open_registry(path), entry("a", "swordfish"), default="a", bind={Purpose("alerts"): "a"})
        with closing(sqlite3.connect(path)) as database:
            database.executescript(f"PRAGMA foreign_keys = OFF; {statements}")
        before = folder_content(path.parent)
        for verb in ("read", "changed"):
            told = refusal(open_registry(path), verb)
            assert told.startswith(f"The registry {path} cannot be used: its tables are not as mailroom.core made them")
            assert f" ({difference}" in told
            assert told.endswith("); put back a copy.")
            assert folder_content(path.parent) == before

    def test_statistics_of_sqlite_are_no_change(self, path: Path) -> None:
        declare(open_registry(path), entry("a"))
        ask_file(path, "ANALYZE")
        declare(open_registry(path), entry("b"))
        assert list(everything(open_registry(path)).connectors) == ["a", "b"]

    def test_copy_that_sqlite_made_is_no_change(self, path: Path) -> None:
        declare(open_registry(path), entry("a"))
        copy = path.with_name("copy.db")
        ask_file(path, f"VACUUM INTO '{copy}'")
        copy.chmod(0o600)
        declare(open_registry(copy), entry("b"))
        assert list(everything(open_registry(copy)).connectors) == ["a", "b"]

    @pytest.mark.parametrize(
        ("table", "verb"),
        [
            ("connector", "read"),
            ("connector", "changed"),
            ("sqlite_autoindex_connector_1", "changed"),
            ("secret", "read"),
            ("purpose", "read"),
        ],
    )
    def test_tree_whose_branches_meet_again_is_not_followed_to_its_end(self, path: Path, table: str, verb: str) -> None:
        """As a tree it has some 10^15 rows; SQLite does not look whether it is one. What is asked by name is found."""
        declare(open_registry(path), entry("a", "swordfish"), bind={Purpose("alerts"): "a"})
        knot(path, table)
        told = sentence_or_nothing(open_registry(path), verb)
        assert told.startswith(f"The registry {path} cannot be {verb}: the file is damaged") or told == ""


def knot(path: Path, table: str) -> None:
    """Make the tree of a table or index one in which every page leads to the same next one many times."""
    ((root,),) = ask_file(path, f"SELECT rootpage FROM sqlite_master WHERE name = '{table}'")
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    leaf = bytes(content[(root - 1) * size : root * size])
    is_table = leaf[0] == 0x0D
    (start,) = struct.unpack(">H", leaf[8:10])
    payload = b"" if is_table else leaf[start : start + leaf[start] + 1]
    count, levels = (300, 6) if is_table else (min(300, (size - 300) // (len(payload) + 6)), 8)
    next_page = len(content) // size + 1
    for level in range(levels):
        number = root if level == 0 else next_page + level - 1
        child = next_page + level
        page = bytearray(size)
        cells = size
        for position in range(count):
            cell = struct.pack(">I", child) + (b"\1" if is_table else payload)
            cells -= len(cell)
            page[cells : cells + len(cell)] = cell
            struct.pack_into(">H", page, 12 + 2 * position, cells)
        struct.pack_into(">BHHHBI", page, 0, 0x05 if is_table else 0x02, 0, count, cells, 0, child)
        content[(number - 1) * size : number * size] = page
    content += leaf
    struct.pack_into(">I", content, 28, len(content) // size)
    path.write_bytes(content)


NAMES = [
    "a b.db",
    "what?.db",
    "mode=ro?mode=rw",
    "50%41.db",
    "#1.db",
    "ä€😀.db",
    "a&b;c'd\"e.db",
    "line\nbreak",
    ":memory:",
]


class TestStrangeNames:
    @pytest.mark.parametrize("name", NAMES)
    def test_strange_name_is_used_as_it_is(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name / name
        registry = open_registry(path, key=None)
        declare(registry, entry("a", "swordfish"))
        assert secrets(open_registry(path, key=None), "a") == {"smtp.password": "swordfish"}
        assert {each.name for each in path.parent.iterdir()} == {name, f"{name}.key"}

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / os.fsdecode(b"\xff\xfe.db")
        declare(open_registry(path), entry("a"))
        assert list(everything(open_registry(path)).connectors) == ["a"]

    def test_what_is_no_absolute_path_of_a_file_is_refused(self) -> None:
        for path in ("registry.db", "./registry.db", "", ".", "/", "/tmp/", "/tmp/.", "/tmp/.."):
            with pytest.raises(RegistryError) as refused:
                SqliteBackend(path)
            assert str(refused.value) == "registry must be the absolute path of a file, or begin with ~/.", path

    @pytest.mark.parametrize("path", ["~/registry.db", "~nobody_there/registry.db"])
    def test_a_home_directory_that_is_not_there_is_said(self, path: str) -> None:
        with pytest.raises(RegistryError, match=r"^registry begins with ~, .* no such home directory.*\.$"):
            SqliteBackend(path)


class TestPermissions:
    """File permissions hold for root here too."""

    @pytest.fixture
    def registry(self, path: Path) -> Registry:
        registry = open_registry(path.parent / "folder" / "registry.db")
        declare(registry, entry("a"), default="a", bind={Purpose("alerts"): "a"})
        return registry

    def test_a_folder_where_nothing_may_be_made(self, tmp_path: Path) -> None:
        folder = tmp_path / "folder"
        folder.mkdir(mode=0o500)
        for below in ("registry.db", "deeper/registry.db"):
            registry = open_registry(folder / below)
            told = without_privileges(lambda registry=registry: refusal(registry, "changed"))
            assert told == f"The registry {folder / below} cannot be changed: Permission denied."
            assert list(folder.iterdir()) == []

    @pytest.mark.parametrize("verb", ["read", "changed"])
    def test_a_file_that_may_not_be_read(self, registry: Registry, tmp_path: Path, verb: str) -> None:
        (tmp_path / "folder" / "registry.db").chmod(0)
        told = without_privileges(lambda: refusal(registry, verb))
        (tmp_path / "folder" / "registry.db").chmod(0o600)
        assert told == f"The registry {tmp_path}/folder/registry.db cannot be {verb}: Permission denied."

    @pytest.mark.parametrize("verb", ["read", "changed"])
    def test_a_folder_that_may_not_be_entered(self, registry: Registry, tmp_path: Path, verb: str) -> None:
        (tmp_path / "folder").chmod(0)
        told = without_privileges(lambda: refusal(registry, verb))
        (tmp_path / "folder").chmod(0o700)
        assert re.fullmatch(r"The registry .*/folder/registry\.db cannot be \w+: Permission denied\.", told)

    @pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o500, 0o400), (0o500, 0o600), (0o700, 0o400)])
    def test_what_may_only_be_read_is_read(
        self, registry: Registry, tmp_path: Path, folder_mode: int, file_mode: int
    ) -> None:
        (tmp_path / "folder" / "registry.db").chmod(file_mode)
        (tmp_path / "folder").chmod(folder_mode)
        assert without_privileges(lambda: " ".join(everything(registry).connectors)) == "a"

    @pytest.mark.parametrize(
        ("folder_mode", "file_mode", "reason"),
        [
            (0o700, 0o400, "Permission denied"),
            (0o500, 0o400, "Permission denied"),
            (0o500, 0o600, "it is read-only for this user, or on a read-only file system"),
        ],
    )
    def test_what_may_only_be_read_is_not_changed(
        self, registry: Registry, tmp_path: Path, folder_mode: int, file_mode: int, reason: str
    ) -> None:
        before = folder_content(tmp_path)
        (tmp_path / "folder" / "registry.db").chmod(file_mode)
        (tmp_path / "folder").chmod(folder_mode)
        told = without_privileges(lambda: refusal(registry, "changed"))
        assert told == f"The registry {tmp_path}/folder/registry.db cannot be changed: {reason}."
        assert folder_content(tmp_path) == before

    def test_a_change_that_was_cut_off_is_rolled_back_by_a_reader(self, registry: Registry, tmp_path: Path) -> None:
        leave_hot_journal(tmp_path / "folder" / "registry.db")
        assert (tmp_path / "folder" / "registry.db-journal").exists()
        assert list(everything(registry).connectors) == ["a"]
        assert not (tmp_path / "folder" / "registry.db-journal").exists()

    def test_change_that_was_cut_off_is_refused_where_the_reader_may_not_undo_it(
        self, registry: Registry, tmp_path: Path
    ) -> None:
        leave_hot_journal(tmp_path / "folder" / "registry.db")
        before = folder_content(tmp_path)
        (tmp_path / "folder" / "registry.db").chmod(0o400)
        (tmp_path / "folder").chmod(0o500)
        told = without_privileges(lambda: refusal(registry, "read"))
        assert told == (
            f"The registry {tmp_path}/folder/registry.db cannot be read: a task was cut off while it changed it, and"
            " this user may not undo that; have a user who may write it run a task."
        )
        assert folder_content(tmp_path) == before
        (tmp_path / "folder").chmod(0o700)
        (tmp_path / "folder" / "registry.db").chmod(0o600)
        declare(registry, entry("b"))
        assert list(everything(registry).connectors) == ["a", "b"]


def leave_hot_journal(path: Path) -> None:
    """Cut a change off after it has begun to overwrite the file."""

    def overwrite(link: object) -> None:
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("PRAGMA cache_size = 1")
        database.execute("PRAGMA cache_spill = 1")
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE connector SET name = name || '_overwritten'")
        for number in range(300):
            database.execute("INSERT INTO purpose VALUES (?, ?, 1)", (str(number), "x" * 500))
        os._exit(9)

    with forked(overwrite) as child:
        assert child.wait() == 9
