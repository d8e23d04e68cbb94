# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: report
short_description: Render the results of tests as a page, as Markdown or as JSON
version_added: 0.2.0
description:
  - Takes the results of M(mailroom.core.connector_test) from one or more hosts, and returns a report on them.
  - The role P(mailroom.core.verify#role) writes all of these with its variable C(mailroom_report).
author:
  - mailroom.core contributors (!UNKNOWN)
extends_documentation_fragment:
  - mailroom.core._outcomes
positional: _input
options:
  format:
    description:
      - With V(html), one page that loads nothing, for a browser.
      - With V(markdown), at most 100 lines for a merge request or the summary of a job.
      - With V(json), all results, as C(docs/results.schema.json) describes them.
    type: str
    choices: [html, markdown, json]
    required: true
"""

EXAMPLES = r"""
- name: Test the connectors
  mailroom.core.connector_test:
    fail: false
  register: tested

- name: Write the report
  ansible.builtin.copy:
    content: "{{ {inventory_hostname: {'results': tested.results}} | mailroom.core.report('html') }}"
    dest: /srv/www/mail.html
    mode: "0644"
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The report.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.mailroom.core.plugins.module_utils._report.html import render_html
from ansible_collections.mailroom.core.plugins.module_utils._report.markdown import render_markdown
from ansible_collections.mailroom.core.plugins.module_utils._report.results_json import results_json
from ansible_collections.mailroom.core.plugins.plugin_utils._results import read_report

RENDERERS = {"html": render_html, "markdown": render_markdown, "json": results_json}


def report(outcomes: Any, format: str) -> str:  # noqa: A002  the name of the option
    if format not in RENDERERS:
        raise AnsibleFilterError(f"mailroom.core.report: format: must be one of {', '.join(RENDERERS)}")
    return RENDERERS[format](read_report("report", outcomes))


class FilterModule:
    """The filter report."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"report": report}
