# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

from __future__ import annotations


class ModuleDocFragment:
    """The options that a module shares with the one that the action plugin runs for `verify`."""

    CONNECTOR = r"""
options:
  name:
    description:
      - "The connector's name: 1 to 50 letters, digits or underscores."
      - Required, except with O(state=duplicated), where it defaults to the source's name with C(_copied)
        appended. Where that would be longer than 50 characters, it is required.
    type: str
  state:
    description:
      - V(present) creates or changes the connector.
      - V(absent) deletes it, with its secrets and its history. That cannot be undone.
      - V(default) makes it the default; fields cannot be given.
      - V(duplicated) creates it as a copy of O(copy_from), with the given fields. Secrets are not copied, so all
        secrets of the source must be given. Where the connector exists already, this is the same as V(present).
        A O(display_name) of the source gets V( (copy\)) appended, unless another one is given.
    type: str
    choices:
      - present
      - absent
      - default
      - duplicated
    default: present
  default:
    description:
      - V(true) makes the connector the default, V(false) makes sure that it is not. With O(state=present) only.
      - There is at most one default; a new one replaces the former.
    type: bool
  new_name:
    description:
      - Renames the connector; its secrets, purposes and history stay. With O(state=present) only.
    type: str
  copy_from:
    description:
      - The connector to duplicate. Required with O(state=duplicated). It must not be the same as O(name).
    type: str
  new_default:
    description:
      - The connector that becomes the default where the task deletes or disables the default, or where
        O(default=false) ends it.
      - Needed where other enabled connectors remain.
    type: str
  clear:
    description:
      - Fields to clear, such as V(imap) or V(smtp.proxy). Clearing a block deletes its secrets.
    type: list
    elements: str
"""

    CONNECTORS = r"""
options:
  default:
    description:
      - The default connector. If it is left out, the default is not changed.
    type: str
  purposes:
    description:
      - The bindings of purposes to connectors, as C(purpose) or C(purpose@tenant) and the connector's name.
    type: dict
  purge:
    description:
      - Whether to delete connectors that are not listed, and, if O(purposes) is given, purposes that are not listed.
      - An empty list of connectors is an error then.
    type: bool
    default: false
  merge:
    description:
      - Whether an entry only changes the fields that it sets, as M(mailroom.core.connector) does.
    type: bool
    default: false
"""

    CHANGES = r"""
options:
  update_password:
    description:
      - V(always) stores given secrets where they differ from the stored ones.
      - V(on_create) only stores a secret where none is stored yet, where a change offers it to a new destination,
        or where the stored secret was moved or edited outside of the collection.
    type: str
    choices:
      - always
      - on_create
    default: always
  verify:
    description:
      - The depth to which changed connectors are tested before the change is committed. If a test fails, nothing is
        changed, and the task fails with a table of problems and remedies. V(none) tests nothing.
      - V(connect), V(login) and V(send) are the depths of M(mailroom.core.connector_test). V(send) sends a test mail to
        C(test_address).
      - Enabled connectors are tested if they are new, were disabled, or their connection settings
        change (or C(from_address) or C(errors_to), with V(send)), concurrently.
      - The test uses the secrets of the task and the stored ones that are kept, so a new password is proven before it
        replaces the old one.
      - In check mode the test is limited to C(envelope), which it reports, as with M(mailroom.core.connector_test).
    type: str
    choices:
      - none
      - connect
      - login
      - send
    default: none
  record:
    description:
      - Whether the registry keeps the outcome of the tests of O(verify), in the transaction of the change, as
        M(mailroom.core.connector_test) does with its option of this name. M(mailroom.core.connector_info) returns it as
        C(health).
      - Of a test that fails nothing is kept, since what was tested is not stored. In check mode nothing is recorded.
      - The roles P(mailroom.core.connectors#role) and P(mailroom.core.environment#role) record unless
        C(mailroom_record) says otherwise.
    type: bool
    default: false
    version_added: 0.2.0
"""
