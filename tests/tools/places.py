# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""Where things are, and the environment in which commands run; nothing is written outside the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "tests" / "output"
HOME = OUTPUT / "home"
COLLECTIONS = OUTPUT / "collections"
INSTALLED = OUTPUT / "installed"
LINK = COLLECTIONS / "ansible_collections" / "mailroom" / "core"

_NOT_COPIED = shutil.ignore_patterns(
    *(".git", ".venv", "output", "__pycache__", ".ansible", ".*_cache", ".hypothesis", ".plugin-cache.yaml")
)

_NOT_HANDED_ON = (
    *("ANSIBLE_", "LC_", "MAILROOM_", "MAKE", "MOLECULE_", "PYTEST_CURRENT"),
    *("PYTHON", "VIRTUAL_ENV", "XDG_"),
)


def link_collection() -> None:
    """Shows the checkout as ansible_collections/mailroom/core."""
    if LINK.is_symlink() and LINK.resolve() == ROOT:
        return
    LINK.parent.mkdir(parents=True, exist_ok=True)
    LINK.unlink(missing_ok=True)
    LINK.symlink_to(ROOT, target_is_directory=True)


def copy_collection(collections: Path) -> Path:
    """Copies what belongs to the collection, for tools that do not follow links."""
    target = collections / "ansible_collections" / "mailroom" / "core"
    shutil.rmtree(target, ignore_errors=True)
    names = _files_of_git()
    if names is None:
        shutil.copytree(ROOT, target, symlinks=True, ignore=_NOT_COPIED)
        return target
    for name in names:
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    # A repository of its own: in the checkout's eyes all of the copy is to be ignored.
    subprocess.run(["git", "init", "--quiet", target], check=True)
    return target


def _files_of_git() -> list[str] | None:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [name for name in listed.stdout.split("\0") if name]


def environment(*folders: Path, **more: str) -> dict[str, str]:
    """The environment of a command: its own HOME and scratch folder, and `folders` first on PATH."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_HANDED_ON)}
    scratch = OUTPUT / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    HOME.mkdir(parents=True, exist_ok=True)
    path = [str(folder) for folder in folders] + [env.get("PATH", os.defpath)]
    env.update(
        HOME=str(HOME),
        TMPDIR=str(scratch),
        PATH=os.pathsep.join(path),
        LC_ALL="C.UTF-8",
        ANSIBLE_COLLECTIONS_PATH=str(COLLECTIONS),
        ANSIBLE_REMOTE_TMP=str(HOME / ".ansible" / "tmp"),
        HYPOTHESIS_STORAGE_DIRECTORY=str(OUTPUT / "cache" / "hypothesis"),
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PIP_ROOT_USER_ACTION="ignore",
    )
    return {**env, **more}
