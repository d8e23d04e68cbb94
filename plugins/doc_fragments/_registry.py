# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

from __future__ import annotations


class ModuleDocFragment:
    """The options that name the registry."""

    DOCUMENTATION = r"""
options:
  registry:
    description:
      - The registry, a SQLite file on the host where the module runs.
      - It is created with mode C(0600) when the first connector is declared, its folder with mode C(0700).
      - An absolute path, or one that begins with C(~/). File and folders must belong to root or to the user that the
        module runs as, and must not be writable by others.
      - The environment variable E(MAILROOM_REGISTRY) of that host is used where the option is left out.
    type: path
    default: /var/lib/mailroom/registry.db
  registry_key:
    description:
      - One or more Fernet keys, separated by commas or line breaks. The first seals secrets; all of them open secrets.
      - To replace a key, put the new one first and keep the old one behind it. The next task that is run
        without check mode seals all secrets again; then the old key can be removed.
      - The environment variable E(MAILROOM_REGISTRY_KEY) of the host where the module runs is used where the
        option is left out.
    type: str
  registry_key_file:
    description:
      - A file with such keys, used where O(registry_key) is not given. It is created with mode C(0600) when the
        first secret is stored.
      - It must belong to root or to the user that the module runs as, and must not be accessible by others.
      - "Default: the path in O(registry) with C(.key) appended."
      - The environment variable E(MAILROOM_REGISTRY_KEY_FILE) of the host where the module runs is used where
        the option is left out.
    type: path
  actor:
    description:
      - The name that is recorded for a change, 1 to 100 characters.
      - "Default: the operating system's user that the module runs as."
      - The environment variable E(MAILROOM_ACTOR) of the host where the module runs is used where the option is
        left out.
    type: str
notes:
  - The registry and the files in its options are on the host where the module runs.
  - C(cryptography) is only required by a task that stores a new secret or uses a stored one.
"""
