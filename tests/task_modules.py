# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""Which module carries out a task, for tests that run a module without Ansible's controller.

The action plugin itself cannot say it there: where a plugin of the controller was imported, modules do not print their
warnings.
"""

from __future__ import annotations

import typing as t


def module_for(name: str, options: t.Mapping[str, t.Any]) -> str:
    """The module itself, or with `verify` the one that can test."""
    return f"_{name}_verify" if options.get("verify") not in (None, "none") else name
