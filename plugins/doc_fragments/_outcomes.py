# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

from __future__ import annotations


class ModuleDocFragment:
    """The input of the filters that report on the connectors of several hosts."""

    DOCUMENTATION = r"""
options:
  _input:
    description: >-
      What is known of each host, by the names of the hosts. One without C(results) and C(tested_from), or with results
      that are not those of M(mailroom.core.connector_test), is reported as not tested.
    type: dict
    required: true
    suboptions:
      at:
        description: >-
          When the host was tested, such as V(2026-11-28T03:00:00Z). The report bears the last of these times, or the
          present one.
        type: str
      results:
        description: >-
          The RV(mailroom.core.connector_test#module:results) of M(mailroom.core.connector_test) on this host.
        type: list
        elements: dict
      tested_from:
        description: The host that has tested instead of this one, where hosts share a registry.
        type: str
      environments:
        description: The environments that the host belongs to, such as its groups.
        type: list
        elements: str
      connectors:
        description: >-
          The RV(mailroom.core.connector_info#module:connectors) of M(mailroom.core.connector_info) on this host, for
          what the registry knows about the connectors.
        type: list
        elements: dict
"""
