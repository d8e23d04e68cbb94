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
      - The registry, a SQLite file on the host where the module runs, or a PostgreSQL database that several hosts
        share.
      - A file is an absolute path, or one that begins with C(~/). It is created with mode C(0600) when the first
        connector is declared, its folder with mode C(0700). File and folders must belong to root or to the user that
        the module runs as, and must not be writable by others.
      - A database is C(postgresql://[user@]host[:port][,host2[:port2]]/database[?parameter=…]), with the parameters of
        libpq and C(schema) (default C(mailroom)). The default of C(sslmode) is C(verify-full). Passwords are not
        allowed in it. Its tables are created by M(mailroom.core.registry).
      - The environment variable E(MAILROOM_REGISTRY) of that host is used where the option is left out.
    type: path
    default: /var/lib/mailroom/registry.db
  registry_password:
    description:
      - The password for a PostgreSQL database. Where it is left out, libpq finds one in its usual places, such as a
        password file.
      - The environment variable E(MAILROOM_REGISTRY_PASSWORD) of the host where the module runs is used where the
        option is left out.
    type: str
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
      - A file with such keys, used where O(registry_key) is not given. For a registry in a file it is created with mode
        C(0600) when the first secret is stored. For a database no file is created.
      - It must belong to root or to the user that the module runs as, and must not be accessible by others.
      - "Default: the path in O(registry) with C(.key) appended. For a database there is no default."
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
  - A registry file and the files in the options are on the host where the module runs.
  - C(cryptography) is only required by a task that stores a new secret or uses a stored one, and C(psycopg) 3.1.7 or
    newer only for a registry in PostgreSQL.
"""

    HOST = r"""
options:
  host:
    description:
      - The name under which this host is recorded in the registry, 1 to 255 characters. The roles give the name in the
        inventory.
      - "Default: the host's own name."
    type: str
"""
