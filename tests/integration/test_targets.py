# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays each target, as ansible-test does."""

from __future__ import annotations

import pytest
from integration.playing import TARGETS, Stage

NAMES = sorted(folder.name for folder in TARGETS.iterdir() if folder.is_dir() and not folder.name.startswith("setup_"))


@pytest.mark.parametrize("name", NAMES)
def test_target(stage: Stage, name: str) -> None:
    scratch = stage.folder / "scratch"
    scratch.mkdir()
    played = stage.play([{"roles": [name]}], "--extra-vars", f"mailroom_scratch={scratch}")
    if played.returncode:
        pytest.fail(f"the target {name} failed:\n{played.stdout}", pytrace=False)
