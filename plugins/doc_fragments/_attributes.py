# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

from __future__ import annotations


class ModuleDocFragment:
    """What the modules have in common in how they run."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Whether the module can run in C(check_mode) and return what it would change, without changing it.
  diff_mode:
    description: Whether the module returns details of what changes in diff mode.
  idempotent:
    description: Whether the same task, run again, changes nothing.
  action_group:
    description: Use C(group/mailroom.core.mailroom) in C(module_defaults) to give all modules the same registry.
    support: full
    membership:
      - mailroom.core.mailroom
"""

    VERIFIES = r"""
options: {}
attributes:
  action:
    description: Whether a part of it runs on the controller, in an action plugin.
    support: partial
    details:
      - The action plugin chooses the module that is run, so that the code that tests connectors is only sent to the
        host for a task with O(verify). Everything else happens on the host.
  async:
    description: Whether it can be used with C(async).
    support: full
"""

    CHANGES = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - Nothing is written. The registry and its key file are not made either where they do not exist yet.
      - If something would change and the user may not write the registry, its folder or that of the key file, it fails
        as the task itself would. A task that changes nothing needs no permission to write.
      - A missing Python library is a warning, because an earlier task of the play may install it.
  diff_mode:
    support: full
    details:
      - Only what differs is shown. A secret shows as C((stored)) or C((changed)), never as its value.
  idempotent:
    support: full
    details:
      - A stored secret is compared by a keyed fingerprint, without opening it.
"""

    CONFIGURES = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - Nothing is written. If the file or its folder cannot be written, it fails as the task itself would.
  diff_mode:
    support: full
    details:
      - Only what the module wrote before and writes now is shown. A password shows as C((stored)) or C((changed)),
        never as its value.
  idempotent:
    support: full
    details:
      - The password is opened to compare it with what is written.
"""

    SENDS = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - Nothing is sent, and nothing is written.
  diff_mode:
    support: N/A
    details:
      - No field of a connector changes.
  idempotent:
    support: full
    details:
      - Sent mail is recorded, and sent again only if it is due again or forced.
"""

    MAILS = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - Nothing is sent.
  diff_mode:
    support: N/A
    details:
      - No field of a connector changes.
  idempotent:
    support: none
    details:
      - Each run sends the mail.
"""

    READS = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - Nothing is changed in any mode.
  diff_mode:
    support: N/A
    details:
      - Nothing is changed.
  idempotent:
    support: full
    details:
      - Nothing is changed.
"""
