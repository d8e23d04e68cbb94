#!/usr/bin/python
# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection mailroom.core and may change at any time.

from __future__ import annotations

DOCUMENTATION = r"""
module: _connectors_verify
short_description: Declare all mail connectors of an environment, tested first
version_added: 0.1.0
description:
  - This module is private to the collection. Use M(mailroom.core.connectors), which runs it for a task with O(verify).
author:
  - mailroom.core contributors (!UNKNOWN)
requirements:
  - what M(mailroom.core.connector_test) needs
extends_documentation_fragment:
  - mailroom.core._options.connectors
  - mailroom.core._options.changes
  - mailroom.core._attributes
  - mailroom.core._attributes.changes
  - mailroom.core._fields.list
  - mailroom.core._registry
  - mailroom.core._registry.host
seealso:
  - module: mailroom.core.connectors
"""

EXAMPLES = r"""
# Use mailroom.core.connectors, with the option verify.
"""

RETURN = r"""
results:
  description: What the test found, beside all else that M(mailroom.core.connectors) returns.
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.mailroom.core.plugins.module_utils._module.connectors import run_module
from ansible_collections.mailroom.core.plugins.module_utils._module.verify import Verification


def main() -> None:
    run_module(Verification)


if __name__ == "__main__":
    main()
