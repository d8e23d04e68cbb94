# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the signature stands in a body."""

from __future__ import annotations

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._message.body import sign_html


@pytest.mark.parametrize(
    ("before", "end"),
    [
        ("<p>Hello</p>", ""),
        ("<html><body>Hello", "</body></html>"),
        ("<HTML><BODY>Hello", "</BODY ></HTML>"),
        ("<html><body>one </body> too many", "</body></html>"),
        ("<html><body>" + "\u0130" * 20, "</body></html>"),
    ],
)
def test_signature_stands_at_the_end_of_the_body_element(before: str, end: str) -> None:
    signed = sign_html(before + end, "Alerts")
    assert signed.startswith(f"{before}<p ")
    assert signed.endswith(f"Alerts</p>\n{end}")
