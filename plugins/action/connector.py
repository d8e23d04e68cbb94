# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.mailroom.core.plugins.plugin_utils._verify import VerifyingAction


class ActionModule(VerifyingAction):
    module_with_tester = "mailroom.core._connector_verify"
