# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""Where the checkout is, and where tests write."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "tests" / "output"
COLLECTIONS = OUTPUT / "collections"
LINK = COLLECTIONS / "ansible_collections" / "mailroom" / "core"


def link_collection() -> None:
    """Show the checkout as ansible_collections/mailroom/core, while another process may do the same."""
    if LINK.is_symlink() and LINK.resolve() == ROOT:
        return
    LINK.parent.mkdir(parents=True, exist_ok=True)
    link = LINK.with_name(f"core.{os.getpid()}")
    link.symlink_to(ROOT, target_is_directory=True)
    link.replace(LINK)
