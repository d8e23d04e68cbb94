#!/usr/bin/python
# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: connector_purpose
short_description: Choose which mail connector serves a purpose
version_added: 0.1.0
description:
  - "In short: O(purpose), O(connector), and O(tenant) for one tenant only."
  - Binds a purpose, such as V(alerts) or V(approvals), to a connector, for all tenants or for one.
  - A connector that a purpose is bound to can be neither deleted nor disabled.
author:
  - mailroom.core contributors (!UNKNOWN)
options:
  purpose:
    description:
      - The purpose that mail is sent for. 1 to 100 letters, digits or any of C(_ . -).
    type: str
    required: true
  connector:
    description:
      - The connector that serves it. Required with O(state=present). It must exist, be enabled, and be
        available to O(tenant).
      - With O(state=absent), the purpose is only unbound from this connector.
    type: str
  tenant:
    description:
      - The tenant that the binding is for. Left out, it is for all tenants without a binding of their own.
    type: str
  state:
    description:
      - V(present) binds the purpose to the connector, and replaces an earlier binding.
      - V(absent) unbinds it.
    type: str
    choices:
      - present
      - absent
    default: present
extends_documentation_fragment:
  - mailroom.core._attributes
  - mailroom.core._attributes.changes
  - mailroom.core._registry
seealso:
  - module: mailroom.core.connector_info
  - module: mailroom.core.connectors
"""

EXAMPLES = r"""
- name: Send alerts through this connector
  mailroom.core.connector_purpose:
    purpose: alerts
    connector: prod_alerts

- name: Send one tenant's approvals through another
  mailroom.core.connector_purpose:
    purpose: approvals
    tenant: acme
    connector: acme_relay

- name: Let campaigns use the default again
  mailroom.core.connector_purpose:
    purpose: phishing_campaign
    state: absent
"""

RETURN = r"""
purpose:
  description: The purpose.
  returned: success
  type: str
  sample: alerts
tenant:
  description: The tenant that the binding is for, V(null) where it is for all.
  returned: success
  type: str
  sample: acme
connector:
  description: The connector that the purpose is bound to afterwards, V(null) where it is not bound.
  returned: success
  type: str
  sample: prod_alerts
diff:
  description: The binding as it was and as it is, where it changes.
  returned: success
  type: dict
  sample:
    before:
      purposes:
        alerts: old_relay
    after:
      purposes:
        alerts: prod_alerts
problems:
  description: What is wrong, one entry each, where the task fails because of what was declared.
  returned: when what was declared is not allowed
  type: list
  elements: dict
  contains:
    where:
      description: The connector or purpose, or its place in a list where it has no valid name.
      type: str
      returned: always
    field:
      description: The field, such as C(smtp.port). Empty where it is about the whole connector.
      type: str
      returned: always
    message:
      description: What is allowed.
      type: str
      returned: always
  sample:
    - where: connector prod_alerts
      field: smtp.port
      message: must be a whole number from 1 to 65535
"""

from ansible_collections.mailroom.core.plugins.module_utils._module.connector_purpose import run_module


def main() -> None:
    run_module()


if __name__ == "__main__":
    main()
