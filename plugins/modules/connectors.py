#!/usr/bin/python
# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: connectors
short_description: Declare all mail connectors of an environment
version_added: 0.1.0
description:
  - "In short: O(connectors) lists all connectors, each with the fields of M(mailroom.core.connector), usually
    C(name), C(from_address), and C(host), C(username) and C(password) of C(smtp). O(default) and O(purposes) say
    which one is used, and O(purge) deletes all others."
  - Creates and changes any number of mail connectors, sets the default and the purposes, and with O(purge=true)
    deletes connectors that are not listed, all in one transaction.
  - An entry describes its connector completely. A field that it leaves out returns to its default. Stored secrets
    stay, unless nothing uses them any more. With O(merge=true), fields that are left out stay as they are.
  - A stored secret is never offered to a new place. Changing where it goes (the host, the port to another
    service, the user, the proxy, the C(ca_file), a weaker security, and the like) needs the secret given again
    in the same task.
  - All problems of a declaration are reported at once, each with its connector and field. Nothing is changed
    then.
author:
  - mailroom.core contributors (!UNKNOWN)
requirements:
  - with O(verify), what M(mailroom.core.connector_test) needs
extends_documentation_fragment:
  - mailroom.core._options.connectors
  - mailroom.core._options.changes
  - mailroom.core._attributes
  - mailroom.core._attributes.changes
  - mailroom.core._attributes.verifies
  - mailroom.core._fields.list
  - mailroom.core._registry
  - mailroom.core._registry.host
seealso:
  - module: mailroom.core.connector_test
  - module: mailroom.core.connector
  - module: mailroom.core.connector_info
"""

EXAMPLES = r"""
- name: Declare all connectors of production, and delete others
  mailroom.core.connectors:
    connectors:
      - name: alerts
        provider: mailgun
        from_address: alerts@example.com
        smtp:
          username: alerts@example.com
          password: "{{ alerts_password }}"
      - name: support
        provider: gmail
        smtp:
          same_credentials: true
        imap:
          username: support@example.com
          password: "{{ support_app_password }}"
    default: alerts
    purposes:
      alerts: alerts
      approvals: support
      approvals@acme: alerts
    purge: true

- name: Store new passwords only if all of them work
  mailroom.core.connectors:
    merge: true
    connectors:
      - name: alerts
        smtp:
          password: "{{ new_alerts_password }}"
      - name: support
        imap:
          password: "{{ new_support_app_password }}"
    verify: login

- name: Disable two connectors and leave their other fields as they are
  mailroom.core.connectors:
    merge: true
    connectors:
      - name: legacy_relay
        enabled: false
      - name: old_newsletter
        enabled: false
"""

RETURN = r"""
created:
  description: The names of the connectors that were created, in the order declared.
  returned: success
  type: list
  elements: str
  sample:
    - alerts
updated:
  description: The names of the connectors that were changed, in the order declared.
  returned: success
  type: list
  elements: str
  sample:
    - support
deleted:
  description: The names of the connectors that were deleted.
  returned: success
  type: list
  elements: str
  sample: []
unchanged:
  description: How many of the connectors listed were already as declared.
  returned: success
  type: int
  sample: 998
default:
  description: The default afterwards, V(null) where there is none.
  returned: success
  type: str
  sample: alerts
diff:
  description:
    - What differs, by connector, and the default and the purposes where they change.
    - Where only the key changes with which secrets are sealed, it holds C(registry_key) alone.
  returned: success
  type: dict
  sample:
    before:
      connectors:
        support:
          imap:
            mailbox: INBOX
    after:
      connectors:
        support:
          imap:
            mailbox: Requests
results:
  description:
    - The results of the tests, one for each connector that was tested, as M(mailroom.core.connector_test) returns them.
  returned: with O(verify), unless it is V(none)
  type: list
  elements: dict
  sample:
    - connector: support
      status: ok
      verdict: ok
      certainty: certain
      remedy: ""
      warnings: []
      depth: login
      elapsed_ms: 212
      endpoints: []
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

from ansible_collections.mailroom.core.plugins.module_utils._module.connectors import run_module


def main() -> None:
    run_module()


if __name__ == "__main__":
    main()
