# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: shared_database
short_description: Say which database a registry is in
version_added: 0.2.0
description:
  - Returns a text that is the same for registries in the same schema of the same database, however their location is
    written. The user and the parameters of the connection do not count, neither does the order of several hosts.
  - Two names of one server are two servers.
  - For a registry in a file the text is empty.
author:
  - mailroom.core contributors (!UNKNOWN)
positional: _input, machine
options:
  _input:
    description: The location of the registry.
    type: str
    required: true
  machine:
    description:
      - What tells the host from others. It counts where the database is on the host itself, at a loopback address or a
        Unix socket.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show which hosts share a database
  ansible.builtin.debug:
    msg: "{{ mailroom_registry | mailroom.core.shared_database(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: What tells the database from others.
  type: str
  sample: postgresql://db1.example.com:5432,db2.example.com:5432/mail?schema=mailroom
"""

import ipaddress
from collections.abc import Callable, Mapping
from itertools import zip_longest
from typing import Any

from ansible_collections.mailroom.core.plugins.module_utils._errors import RegistryError
from ansible_collections.mailroom.core.plugins.module_utils._registry.postgresql.location import SCHEME, parse_location

_PORT = "5432"


def shared_database(location: Any, machine: Any) -> str:
    text = str(location or "")
    if not text.startswith(("postgresql:", "postgres:")):
        return ""
    try:
        parsed = parse_location(text)
    except RegistryError:
        # The module says what is wrong with it. The text may hold a password, and what is returned here is shown.
        return f"{SCHEME} on {machine}"
    parameters = parsed.parameters
    servers = sorted(_servers(parameters))
    here = not parameters.get("service") and any(_is_here(server.rpartition(":")[0]) for server in servers)
    address = ",".join([*servers, *([parameters["service"]] if "service" in parameters else [])])
    shown = f"{SCHEME}{address}/{parameters['dbname']}?schema={parsed.schema}"
    return f"{shown} on {machine}" if here else shown


def _servers(parameters: Mapping[str, str]) -> set[str]:
    hosts = (parameters.get("host") or parameters.get("hostaddr") or "").lower().split(",")
    ports = parameters.get("port", _PORT).split(",")
    # One port holds for all hosts.
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return {f"{host}:{port or _PORT}" for host, port in zip_longest(hosts, ports, fillvalue="")}


def _is_here(host: str) -> bool:
    if host in ("", "localhost") or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class FilterModule:
    """The filter shared_database."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"shared_database": shared_database}
