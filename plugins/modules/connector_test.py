#!/usr/bin/python
# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.mailroom.core.plugins.module_utils._module.connector_test import run_module


def main() -> None:
    run_module()


if __name__ == "__main__":
    main()
