#!/usr/bin/python
# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: init_mail
short_description: Prove once that mail connectors can send
version_added: 0.1.0
description:
  - "In short: no option is needed. O(connectors) limits it to some connectors, O(to) sets the recipient, and
    O(force) sends also what is not due."
  - Sends a mail with the subject C(Init Mail) through each connector for which it is due, and records that in the
    registry, so that a rerun sends nothing.
  - It is due until it was sent, and again when a field that sending depends on has changed (C(smtp), C(graph),
    C(oauth2), their secrets, C(from_address), C(from_name) or C(errors_to)). A new description does not make it
    due.
  - Its body names the tenant, the connector, host, port, type, security and user, never a secret, and ends with the
    signature.
  - Accepted mail is recorded at once, connector by connector. If a task is killed in between, the mail is sent again
    with the same Message-ID, which is derived from the registry, the connector and its settings.
  - Connectors send in parallel, within the limits of M(mailroom.core.connector_test). If some fail, the others still
    send, and the task fails with a table of those that failed. Accepted mail is not necessarily delivered;
    M(mailroom.core.connector_test) with C(depth) V(deliver) tests the delivery.
  - In check mode no server is contacted. The result lists the recipients. The task fails where the mail could not be
    composed or the registry not be written.
author:
  - mailroom.core contributors (!UNKNOWN)
requirements:
  - msal, where C(oauth2) signs in at Microsoft; 1.35 or newer where it does so with a certificate
  - cryptography, where the connectors have secrets
options:
  connectors:
    description:
      - The connectors that send, by name. Left out, all that are enabled, can send, and are available to O(tenant).
    type: list
    elements: str
  to:
    description:
      - The recipient. Left out, each connector's C(test_address), which defaults to the user who signs in where that
        is an address, else to C(from_address).
      - It goes to that address alone, unless O(include_copies=true).
    type: str
  tenant:
    description:
      - The tenant named in the mail. A connector that is not available to it is refused.
    type: str
  force:
    description:
      - Whether to send also where no Init Mail is due. The Message-ID stays the same while the settings do.
    type: bool
    default: false
  include_copies:
    description:
      - Whether the mail goes to the connector's C(cc) and C(bcc) as well.
    type: bool
    default: false
extends_documentation_fragment:
  - mailroom.core._attributes
  - mailroom.core._attributes.sends
  - mailroom.core._registry
seealso:
  - module: mailroom.core.connector_test
  - module: mailroom.core.connector_info
"""

EXAMPLES = r"""
- name: Prove every connector that can send and has not been proven
  mailroom.core.init_mail:

- name: Prove two connectors for a tenant, to an address of its own
  mailroom.core.init_mail:
    connectors:
      - alerts
      - approvals
    tenant: acme
    to: postmaster@acme.example.com

- name: Send it once more
  mailroom.core.init_mail:
    connectors:
      - alerts
    force: true
"""

RETURN = r"""
sent:
  description:
    - The mail that was sent, in check mode the mail that would be sent.
  returned: always
  type: list
  elements: dict
  contains:
    connector:
      description: The connector that sent it.
      type: str
      returned: always
    to:
      description: The recipient.
      type: str
      returned: always
    message_id:
      description: Its Message-ID.
      type: str
      returned: always
    queue_id:
      description: The id under which the server queued it, V(null) where its reply holds none.
      type: str
      returned: always
  sample:
    - connector: alerts
      to: alerts@example.com
      message_id: "<init.5f2e0c1b9a4d47e8b6a1c3d5e7f90123456789ab@example.com>"
      queue_id: 4dL7Gk2Xz9z4w
already_proven:
  description: The connectors for which it was not due.
  returned: always
  type: list
  elements: str
  sample:
    - approvals
results:
  description: The result for each connector that tried to send, as M(mailroom.core.connector_test) returns it.
  returned: when a connector could not send
  type: list
  elements: dict
  sample:
    - connector: campaigns
      status: fail
      verdict: relay_denied
      field: smtp.username
      certainty: certain
      remedy: "Sign in (username and password) or have this host's address allowed to relay on smtp.example.com. It
        says: 5.7.1 Relay access denied"
      warnings: []
      alternatives: []
      depth: send
      elapsed_ms: 148
      endpoints: []
"""

from ansible_collections.mailroom.core.plugins.module_utils._module.init_mail import run_module


def main() -> None:
    run_module()


if __name__ == "__main__":
    main()
