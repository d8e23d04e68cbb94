# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imported by each Python that Ansible starts while tests run, since PYTHONPATH names this folder.

These processes end soon. Looking for garbage cycles costs them a tenth of their processor time, most of it in the
workers that Ansible forks, whose memory is copied as soon as it is looked at.
"""

from __future__ import annotations

import gc

import kept_compiling
import kept_payloads
import zip_bytecode

gc.disable()
zip_bytecode.install()
if kept_payloads.is_ansible():
    kept_payloads.install()
    kept_compiling.install()
