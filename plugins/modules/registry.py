#!/usr/bin/python
# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry
short_description: Make or migrate a registry of mail connectors, and say who may use it
version_added: 0.2.0
description:
  - Makes the tables of a registry in PostgreSQL, or migrates those of an earlier release of this collection. Other
    modules do neither there. A registry in a file is made and migrated by any task that changes it.
  - Lets roles of the database read or write the registry, and copies one registry into another.
  - The database itself and its roles are made before, by whoever runs the database.
author:
  - mailroom.core contributors (!UNKNOWN)
requirements:
  - psycopg 3.1.7 or newer, for a registry in PostgreSQL
options:
  state:
    description:
      - With V(present) the registry is made, or migrated to the version that this release needs. One that is current
        is left as it is, also by those who could not migrate it.
    type: str
    choices:
      - present
    default: present
  copy_from:
    description:
      - Another registry, a file or a database, that is copied into this one, with its id, its history and whatever
        else it holds. Secrets are sealed anew with the key of this one.
      - This one must be empty. Where it holds the same already, nothing changes; where it holds anything else, the
        task fails.
    type: path
  copy_from_key:
    description:
      - The keys of the registry in O(copy_from).
      - "Default: O(registry_key), where O(copy_from_key_file) is not given either."
    type: str
  copy_from_key_file:
    description:
      - A file with the keys of the registry in O(copy_from).
      - "Default: for a file its path with C(.key) appended, for a database what this registry has. The default does not
        apply where O(registry_key) is given."
    type: path
  copy_from_password:
    description:
      - The password for the database in O(copy_from).
    type: str
  grant_read:
    description:
      - Roles of the database that may read the registry from now on. They must exist.
      - They may read sealed secrets too, which are of no use without the key.
      - Grants are added and never taken away. Give them in each task, since a later release may have more tables.
    type: list
    elements: str
  grant_write:
    description:
      - Roles that may also write it. They can neither change nor delete history.
    type: list
    elements: str
extends_documentation_fragment:
  - mailroom.core._attributes
  - mailroom.core._registry
attributes:
  check_mode:
    support: full
    details:
      - Nothing is written. For a database, the SQL statements are returned.
  diff_mode:
    support: none
  idempotent:
    support: full
seealso:
  - module: mailroom.core.connectors
  - module: mailroom.core.connector_info
"""

EXAMPLES = r"""
- name: Make the registry in PostgreSQL, or migrate it
  mailroom.core.registry:
    registry: postgresql://mailroom_owner@db.example.com/mail?sslrootcert=/etc/ssl/certs/company.pem
    registry_password: "{{ owner_password }}"
    grant_read:
      - mailroom_reader
    grant_write:
      - mailroom_writer

- name: Show the statements for whoever may run them
  mailroom.core.registry:
    registry: postgresql://robot@db.example.com/mail
  check_mode: true
  register: planned

- name: Move a registry from a file into the database
  mailroom.core.registry:
    registry: postgresql://mailroom_owner@db.example.com/mail
    registry_key: "{{ registry_key }}"
    copy_from: /var/lib/mailroom/registry.db
    copy_from_key_file: /var/lib/mailroom/registry.db.key
"""

RETURN = r"""
registry:
  description:
    - The registry after the task; in check mode as it is now, empty if it does not exist.
    - C(backend) is V(sqlite) or V(postgresql). C(id) identifies this registry, V(null) if there is none yet.
      C(schema_version) is the version of its tables, V(0) if there are none. C(connectors) is the number of
      connectors, C(keys) lists the ids of the keys that have sealed its secrets, and C(writable) says whether this task
      could write.
  returned: success
  type: dict
  sample:
    backend: postgresql
    id: 0f5ca1f0e2a94f3b9f5d7c1d2e3f4a5b
    schema_version: 1
    connectors: 12
    keys: [5f2b9c01d4e8a376]
    writable: true
statements:
  description: The SQL statements that would make or migrate it and grant its use, in order and for one transaction.
  returned: in check mode
  type: list
  elements: str
  sample:
    - CREATE SCHEMA "mailroom"
"""

from ansible_collections.mailroom.core.plugins.module_utils._module.registry import run_module


def main() -> None:
    run_module()


if __name__ == "__main__":
    main()
