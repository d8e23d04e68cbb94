# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

from __future__ import annotations


class ModuleDocFragment:
    """The options of modules that a second one shares, which the action plugin runs where a task tests."""

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
      - V(default) makes it the default. No field can be given then.
      - V(duplicated) creates it as a copy of O(copy_from), with the fields given. Secrets are not copied; all
        that the source holds must be given. Where the connector exists already, this is the same as V(present).
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
      - There is at most one default; making one ends the other.
    type: bool
  new_name:
    description:
      - Renames the connector; its secrets, purposes and history stay. With O(state=present) only.
    type: str
  copy_from:
    description:
      - The connector to duplicate. Required with O(state=duplicated). It must be another one than O(name).
    type: str
  new_default:
    description:
      - The connector that becomes the default where the task deletes or disables the default, or where
        O(default=false) ends it.
      - Needed where other enabled connectors remain.
    type: str
  clear:
    description:
      - Fields to clear, such as V(imap) or V(smtp.proxy). Clearing a block drops its secrets.
    type: list
    elements: str
  update_password:
    description:
      - V(always) stores the secrets that are given where they differ from what is stored.
      - V(on_create) only stores a secret where none is stored yet, or where a change offers it to a new place,
        or where what is stored was moved or edited from outside the collection.
    type: str
    choices:
      - always
      - on_create
    default: always
  verify:
    description:
      - What is about to be committed is tested first, so deep; where a test fails, nothing is changed, and the task
        fails with a table of what is wrong and what to do. V(none) tests nothing.
      - V(connect), V(login) and V(send) are the depths of M(mailroom.core.connector_test). V(send) sends a test mail to
        C(test_address).
      - The connector is tested where it is enabled, and new or enabled anew, or where its settings for connecting
        change (or C(from_address) or C(errors_to), with V(send)).
      - The secrets are those that the task gives, and stored ones that stay. So a new password is proven before the
        old one is replaced.
      - In check mode the test goes no deeper than C(envelope), and says so, as with M(mailroom.core.connector_test).
    type: str
    choices:
      - none
      - connect
      - login
      - send
    default: none
"""

    CONNECTORS = r"""
options:
  default:
    description:
      - The connector that is the default afterwards. Where it is left out, the default stays.
    type: str
  purposes:
    description:
      - Which connector serves which purpose, as C(purpose) or C(purpose@tenant) and the connector's name.
    type: dict
  purge:
    description:
      - Whether connectors that are not listed are deleted, and, if O(purposes) is given, purposes that are not
        listed.
      - An empty list is an error then.
    type: bool
    default: false
  merge:
    description:
      - Whether an entry changes only what it names, as M(mailroom.core.connector) does.
    type: bool
    default: false
  update_password:
    description:
      - V(always) stores the secrets that are given where they differ from what is stored.
      - V(on_create) only stores a secret where none is stored yet, or where a change offers it to a new place,
        or where what is stored was moved or edited from outside the collection.
    type: str
    choices:
      - always
      - on_create
    default: always
  verify:
    description:
      - What is about to be committed is tested first, so deep; where a test fails, nothing is changed, and the task
        fails with a table of what is wrong and what to do. V(none) tests nothing.
      - V(connect), V(login) and V(send) are the depths of M(mailroom.core.connector_test). V(send) sends a test mail to
        C(test_address).
      - Only connectors that are enabled are tested, which are new or enabled anew, or whose settings for connecting
        change (or C(from_address) or C(errors_to), with V(send)), many at once.
      - The secrets are those that the task gives, and stored ones that stay. So a new password is proven before the
        old one is replaced.
      - In check mode the test goes no deeper than C(envelope), and says so, as with M(mailroom.core.connector_test).
    type: str
    choices:
      - none
      - connect
      - login
      - send
    default: none
"""
