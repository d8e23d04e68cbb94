# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the test of Zabbix goes, which is not encrypted."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._target.api import zabbix
from ansible_collections.mailroom.core.plugins.module_utils._target.api_target import Place, Stored, Wanted


class Api:
    """Signed in with a token of its own, or with that of a session, which ends."""

    def __init__(self, ends: bool) -> None:
        self.session = {"token": Secret("a-token"), "in_header": True, "ends": ends}
        self.redact = Redaction([Secret("Rumpelstilzchen")])


@pytest.mark.parametrize(
    ("server", "ends", "is_asked"),
    [("zabbix.example.com", False, False), ("zabbix.example.com", True, True), ("127.0.0.1:10051", False, True)],
)
def test_api_token_goes_to_loopback_alone(
    monkeypatch: pytest.MonkeyPatch, server: str, ends: bool, is_asked: bool
) -> None:
    asked: list[Any] = []

    def ask(_api: Any, host: str, *_more: Any) -> dict[str, str]:
        asked.append(host)
        return {"response": "success", "info": "Sent for Rumpelstilzchen"}

    account: Any = type("Account", (), {"name": "main"})()
    api: Any = Api(ends)
    monkeypatch.setattr(zabbix, "_ask_server", ask)
    monkeypatch.setattr(zabbix.Zabbix, "read", lambda *_asked: Stored("1", {}))
    place = Place({"name": "mail"}, {"server": server}, "https://zabbix.example.com")
    tested = zabbix.Zabbix().test(api, place, account, Wanted({}), "a@example.com")
    assert (tested.status, bool(asked)) == ("ok" if is_asked else "not_supported", is_asked)
    assert "Rumpelstilzchen" not in tested.text
