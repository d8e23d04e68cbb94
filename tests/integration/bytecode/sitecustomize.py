# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imported by each Python that Ansible starts while tests run, since PYTHONPATH names this folder."""

from __future__ import annotations

import zip_bytecode

zip_bytecode.install()
