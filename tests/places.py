# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""Where the checkout is, and where tests write."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "tests" / "output"
COLLECTIONS = OUTPUT / "collections"
LINK = COLLECTIONS / "ansible_collections" / "mailroom" / "core"


def link_collection() -> None:
    """Show the checkout as ansible_collections/mailroom/core."""
    if LINK.is_symlink() and LINK.resolve() == ROOT:
        return
    LINK.parent.mkdir(parents=True, exist_ok=True)
    LINK.unlink(missing_ok=True)
    LINK.symlink_to(ROOT, target_is_directory=True)
