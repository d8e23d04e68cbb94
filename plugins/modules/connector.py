#!/usr/bin/python
# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: connector
short_description: Declare one mail connector
version_added: 0.1.0
description:
  - "In short: O(name), O(from_address), O(smtp.host), O(smtp.username) and O(smtp.password) declare a connector
    that sends mail. O(provider) replaces the host. For reading mail, O(imap) has the same fields as O(smtp)."
  - Creates, changes, deletes or duplicates a mail connector in the registry, or makes it the default.
  - What is left out, or V(null), stays as it is. V(""), V([]) and V({}) clear a string, a list or a dictionary;
    O(clear) clears anything else.
  - A stored secret is never offered to a new place. Changing where it goes (the host, the port to another
    service, the user, the proxy, the C(ca_file), a weaker security, and the like) needs the secret given again
    in the same task.
  - A task makes all of its change or none of it.
author:
  - mailroom.core contributors (!UNKNOWN)
requirements:
  - with O(verify), what M(mailroom.core.connector_test) needs
extends_documentation_fragment:
  - mailroom.core._options.connector
  - mailroom.core._options.changes
  - mailroom.core._attributes
  - mailroom.core._attributes.changes
  - mailroom.core._attributes.verifies
  - mailroom.core._fields
  - mailroom.core._registry
  - mailroom.core._registry.host
seealso:
  - module: mailroom.core.connector_test
  - module: mailroom.core.connectors
  - module: mailroom.core.connector_info
  - module: mailroom.core.connector_purpose
"""

EXAMPLES = r"""
- name: Send alerts through a mail server
  mailroom.core.connector:
    name: prod_alerts
    smtp:
      host: smtp.example.com
      username: alerts@example.com
      password: "{{ alerts_password }}"

- name: Send and read through a provider, and make this connector the default
  mailroom.core.connector:
    name: support
    display_name: Support mailbox
    provider: fastmail
    from_address: support@example.com
    from_name: Support
    smtp:
      same_credentials: true
    imap:
      username: support@example.com
      password: "{{ support_app_password }}"
    default: true

- name: Send over Microsoft Graph
  mailroom.core.connector:
    name: campaigns
    from_address: news@example.com
    graph:
      mailbox: news@example.com
    oauth2:
      tenant_id: example.com
      client_id: 00000000-1111-2222-3333-444444444444
      client_secret: "{{ graph_client_secret }}"

- name: Change one field only; --diff shows that field
  mailroom.core.connector:
    name: prod_alerts
    description: Alerts of the production systems

- name: Replace a password only if the new one works
  mailroom.core.connector:
    name: prod_alerts
    smtp:
      password: "{{ new_alerts_password }}"
    verify: login

- name: Stop reading mail
  mailroom.core.connector:
    name: support
    clear:
      - smtp.same_credentials
      - imap
    smtp:
      username: support@example.com
      password: "{{ support_app_password }}"

- name: Copy a connector for the test systems
  mailroom.core.connector:
    state: duplicated
    copy_from: prod_alerts
    name: test_alerts
    smtp:
      host: smtp.test.example.com
      password: "{{ test_alerts_password }}"

- name: Delete the default, naming the next one
  mailroom.core.connector:
    name: support
    state: absent
    new_default: prod_alerts
"""

RETURN = r"""
connector:
  description:
    - "The fields of the connector, derived ones included, and what the registry holds about it: C(type) (V(smtp),
      V(imap) or V(graph)), C(is_default), C(purposes), C(secrets) (the sorted names of those stored),
      C(revision), C(created_at), C(created_by), C(updated_at), C(updated_by) and C(init_mail) (when and to whom
      it was sent, and whether it is due)."
    - V(null) where the connector does not exist afterwards. In check mode, the connector as it would be.
  returned: success
  type: dict
  sample:
    name: prod_alerts
    type: smtp
    display_name: Alerts of production
    enabled: true
    from_address: alerts@example.com
    smtp:
      host: smtp.example.com
      port: 587
      security: starttls
      auth: password
      username: alerts@example.com
      validate_certs: true
    secrets:
      - smtp.password
    is_default: true
    purposes:
      - alerts
    revision: 3
    created_at: "2026-11-20T08:00:00Z"
    created_by: deploy
    updated_at: "2026-11-20T09:30:00Z"
    updated_by: deploy
    init_mail:
      sent_at: null
      sent_to: null
      due: true
diff:
  description: The fields that differ. Secrets show as C((stored)) or C((changed)).
  returned: success
  type: dict
  sample:
    before:
      smtp:
        port: 587
    after:
      smtp:
        port: 465
result:
  description:
    - The result of the test, as M(mailroom.core.connector_test) returns it. V(null) where nothing was tested.
  returned: with O(verify), unless it is V(none)
  type: dict
  sample:
    connector: prod_alerts
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

from ansible_collections.mailroom.core.plugins.module_utils._module.connector import run_module


def main() -> None:
    run_module()


if __name__ == "__main__":
    main()
