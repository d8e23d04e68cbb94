# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens on file systems that are full or read-only: one scenario per function.

Played by test_disk.py in a process with mounts of its own, which end with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Callable

from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Purpose, State
from ansible_collections.mailroom.core.plugins.module_utils._errors import MailroomError

from .samples import declare, entry, everything, folder_content, open_registry, secrets

ALERTS = Purpose("alerts")
PAGE = 4096


def mount(folder: Path, options: str) -> Path:
    folder.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    return folder


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def occupy(folder: Path, free: int = 0) -> Path:
    """Fill the disk up, but for some bytes."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        with suppress(OSError):
            while True:
                file.write(bytes(PAGE))
        file.truncate(max(0, file.tell() - free))
    return filler


def refusal(path: Path, *entries: dict[str, object], key_file: Path | None = None) -> str:
    """What the user is told, or nothing where the change is made."""
    registry = open_registry(path, key=None)
    if key_file:
        registry._keys.path = str(key_file)
    try:
        declare(registry, *entries, default="a")
    except MailroomError as refused:
        return str(refused)
    return ""


def a_change_of_a_registry(folder: Path) -> None:
    """With more and more room until it is enough: the change fails at another place each time."""
    mount(folder, "size=400k")
    path = folder / "registry.db"
    registry = open_registry(path, key=None)
    declare(registry, entry("a", "old"), default="a", bind={ALERTS: "a"})
    new = [entry(f"c{number}", f"password {number}", description="x" * 300) for number in range(60)]
    before, content = everything(registry), path.read_bytes()
    refused = 0
    for pages in range(100):
        filler = occupy(folder, free=pages * PAGE)
        told = refusal(path, *new, entry("a", "new"))
        filler.unlink()
        if not told:
            break
        refused += 1
        assert told == f"The registry {path} cannot be changed: the disk is full.", told
        assert everything(registry) == before
        assert path.read_bytes() == content
        assert secrets(registry, "a") == {"smtp.password": "old"}
    assert refused > 5, refused
    assert len(everything(registry).connectors) == 61
    assert secrets(registry, "a") == {"smtp.password": "new"}


def a_new_registry(folder: Path) -> None:
    """Whatever is left behind by a first change that failed does not hurt the next."""
    mount(folder, "size=4m")
    sentences = set()
    for pages in range(100):
        path = folder / str(pages) / "registry.db"
        path.parent.mkdir()
        filler = occupy(folder, free=pages * PAGE)
        told = refusal(path, entry("a", "swordfish"))
        if not told:
            filler.unlink()
            break
        sentences.add(told.replace(str(path), "PATH"))
        assert everything(open_registry(path, key=None)) == State()
        filler.unlink()
        assert refusal(path, entry("a", "swordfish")) == ""
        assert secrets(open_registry(path, key=None), "a") == {"smtp.password": "swordfish"}
    assert sentences == {
        "The registry PATH cannot be changed: the disk is full.",
        "registry_key_file PATH.key cannot be made: No space left on device.",
    }, sentences
    assert secrets(open_registry(path, key=None), "a") == {"smtp.password": "swordfish"}


def the_key_file(folder: Path) -> None:
    """Its disk is another than the registry's."""
    path, key_file = folder / "registry.db", mount(folder / "keys", "size=64k") / "key"
    declare(open_registry(path), entry("a"), default="a")
    content = path.read_bytes()
    filler = occupy(key_file.parent)
    for _dummy in range(2):
        told = refusal(path, entry("a", "swordfish"), key_file=key_file)
        assert told == f"registry_key_file {key_file} cannot be made: No space left on device.", told
        assert path.read_bytes() == content
        assert key_file.read_bytes() == b""
    assert refusal(path, entry("b"), key_file=key_file) == ""
    filler.unlink()
    assert refusal(path, entry("a", "swordfish"), key_file=key_file) == ""
    assert open_registry(path, key_file.read_text()).exists()
    assert secrets(open_registry(path, key_file.read_text()), "a") == {"smtp.password": "swordfish"}


def a_disk_without_inodes(folder: Path) -> None:
    """There is room, but no further file can be made: neither a registry nor the journal beside one."""
    mount(folder, "size=400k,nr_inodes=6,mode=0700")
    path = folder / "registry.db"
    declare(open_registry(path), entry("a"), default="a")
    content = path.read_bytes()
    fillers = list(_files_until_full(folder))
    told = refusal(folder / "another.db", entry("a"))
    assert told == f"The registry {folder}/another.db cannot be changed: No space left on device.", told
    told = refusal(path, entry("a", description="new"))
    assert told.startswith(f"The registry {path} cannot be changed: "), told
    assert "unable to open" not in told, f"this does not tell that the disk is full: {told}"
    assert path.read_bytes() == content
    fillers[0].unlink()
    assert refusal(path, entry("a", description="new")) == ""


def _files_until_full(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        for number in count():
            path = folder / str(number)
            path.touch(exist_ok=False)
            yield path


def a_read_only_disk(folder: Path) -> None:
    mount(folder, "size=400k")
    path = folder / "registry.db"
    registry = open_registry(path, key=None)
    declare(registry, entry("a", "swordfish"), default="a", bind={ALERTS: "a"})
    before, content = everything(registry), folder_content(folder)
    _mount("-o", "remount,ro", str(folder))
    assert everything(registry) == before
    assert secrets(registry, "a") == {"smtp.password": "swordfish"}
    for entries in ([entry("b")], [entry("a", "new")]):
        told = refusal(path, *entries)
        assert told == f"The registry {path} cannot be changed: Read-only file system.", told
    for new in (folder / "new.db", folder / "new" / "registry.db"):
        assert everything(open_registry(new)) == State()
        told = refusal(new, entry("a"))
        assert told == f"The registry {new} cannot be changed: Read-only file system.", told
    assert folder_content(folder) == content
    _mount("-o", "remount,rw", str(folder))
    assert refusal(path, entry("b")) == ""
    assert list(everything(registry).connectors) == ["a", "b"]


def a_disk_that_turns_read_only_for_the_key(folder: Path) -> None:
    path, key_file = folder / "registry.db", mount(folder / "keys", "size=64k") / "key"
    _mount("-o", "remount,ro", str(key_file.parent))
    told = refusal(path, entry("a", "swordfish"), key_file=key_file)
    assert told == f"registry_key_file {key_file} cannot be made: Read-only file system.", told
    assert everything(open_registry(path)) == State()
    _mount("-o", "remount,rw", str(key_file.parent))
    assert refusal(path, entry("a", "swordfish"), key_file=key_file) == ""


def play_all(scenarios: Mapping[str, Callable[[Path], None]], folder: Path) -> None:
    """Play each in a folder of its own, and print as JSON what went wrong in which."""
    failures = {}
    for name, scenario in scenarios.items():
        (folder / name).mkdir()
        try:
            scenario(folder / name)
        except Exception:  # noqa: BLE001  the test is told of it
            failures[name] = traceback.format_exc()
    sys.stdout.write(json.dumps(failures))


SCENARIOS = {
    each.__name__: each
    for each in (
        a_change_of_a_registry,
        a_new_registry,
        the_key_file,
        a_disk_without_inodes,
        a_read_only_disk,
        a_disk_that_turns_read_only_for_the_key,
    )
}

if __name__ == "__main__":
    play_all(SCENARIOS, Path(sys.argv[1]))
