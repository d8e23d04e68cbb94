# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection awx.awx, taken out of the package ansible and kept among what the tests have made."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import places

# Later series of the package come without awx.awx.
PACKAGE = "ansible==12.3.0"
FOLDER = "ansible_collections/awx/"


def folder() -> Path:
    """The folder that holds ansible_collections/awx/awx; downloads it if it is not there yet."""
    kept = places.OUTPUT / "awx" / PACKAGE
    if not kept.is_dir():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
            # What is unfinished has another name, so that nobody takes it for the whole.
            _unpack(_download(Path(scratch)), Path(scratch) / "whole").replace(kept)
    return kept


def _download(scratch: Path) -> Path:
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(scratch)]
    subprocess.run([sys.executable, "-m", "pip", "download", *options, PACKAGE], check=True, stdin=subprocess.DEVNULL)
    (wheel,) = scratch.glob("*.whl")
    return wheel


def _unpack(wheel: Path, target: Path) -> Path:
    with zipfile.ZipFile(wheel) as package:
        package.extractall(target, [name for name in package.namelist() if name.startswith(FOLDER)])
    shutil.rmtree(target / FOLDER / "awx" / "test")
    return target
