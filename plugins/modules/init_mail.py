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
  - Sends a mail with the subject C(Init Mail) through each connector for which it is due, and records that in the
    registry, so that a rerun sends nothing.
  - It is due until it was sent, and again when a field that sending depends on has changed (C(smtp), C(graph),
    C(oauth2), their secrets, C(from_address), C(from_name) or C(errors_to)). A new description does not make it
    due.
  - Its body names the tenant, the connector, host, port, type, security and user, never a secret, and ends with the
    signature.
  - What a server has accepted is recorded at once, connector by connector. Where a task is killed in between, the mail
    is sent once more, with the same Message-ID, which is derived from the registry, the connector and its settings.
  - Many connectors send at once, within the bounds of M(mailroom.core.connector_test). Where some fail, the others
    still send, and the task fails with a table of those that did not. That a server has accepted the mail does not
    say that it is delivered; M(mailroom.core.connector_test) with C(depth) V(deliver) finds that out.
  - In check mode no server is asked. It says to whom mail would be sent, and fails where it cannot be written or its
    sending not be recorded.
author:
  - mailroom.core contributors (!UNKNOWN)
requirements:
  - msal, where C(oauth2) signs in at Microsoft; 1.35 or newer where it does so with a certificate
  - cryptography, where the connectors have secrets
options:
  connectors:
    description:
      - The connectors that are to send, by name. Left out, all that are enabled, can send, and are available to
        O(tenant).
    type: list
    elements: str
  to:
    description:
      - Whom the mail goes to. Left out, each connector's C(test_address), which is the user who signs in where that is
        an address, and C(from_address) else.
      - It goes to that address alone, unless O(include_copies=true).
    type: str
  tenant:
    description:
      - The tenant whom the mail names. A connector that is not available to it is refused.
    type: str
  force:
    description:
      - Whether to send where it is not due as well. The Message-ID is the same as before while the settings are.
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
    - Where mail was sent, and under which id the server has queued it, V(null) where it does not tell. In check mode,
      where it would be sent.
  returned: always
  type: list
  elements: dict
  contains:
    connector:
      description: The connector that sent it.
      type: str
      returned: always
    to:
      description: Whom it was sent to.
      type: str
      returned: always
    message_id:
      description: Its Message-ID.
      type: str
      returned: always
    queue_id:
      description: Under which id the server has queued it.
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
  description: What was found out of each connector that tried, as M(mailroom.core.connector_test) returns it.
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
