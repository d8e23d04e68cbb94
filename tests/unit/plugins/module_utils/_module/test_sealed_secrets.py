# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tasks do with secrets that were moved or edited from outside, or sealed by an earlier release."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.module_utils._registry.samples import (
    KEY,
    NEW_KEY,
    ask_file,
    edit_file,
    edit_settings,
    folder_content,
)

from .conftest import Play

PASSWORD = "Rumpelstilzchen-7f3a9c51e2"
SMTP = {"host": "localhost", "port": 2525, "security": "none", "username": "mailer", "password": PASSWORD}
FOREIGN = "connector a: smtp.password: what is stored was not sealed for "
DATA = Path(__file__).parents[1] / "_registry" / "data"


@pytest.fixture
def edited(play: Play, registry_path: Path) -> Path:
    """A registry in which somebody has put another host into a connector's row."""
    play("connector", name="a", from_address="a@example.com", smtp=SMTP)
    edit_settings(registry_path, "a", "smtp", {"host": "127.0.0.1"})
    return registry_path


@pytest.fixture
def released(registry_path: Path) -> list[dict[str, Any]]:
    """A registry that release 0.1.0 has made, and what was declared for it."""
    registry_path.parent.mkdir(mode=0o700)
    shutil.copy(DATA / "registry-0.1.0.db", registry_path)
    shutil.copy(DATA / "registry-0.1.0.db.key", f"{registry_path}.key")
    Path(f"{registry_path}.key").chmod(0o600)
    declared: list[dict[str, Any]] = json.loads((DATA / "registry-0.1.0.json").read_text("utf-8"))["connectors"]
    return declared


class TestForeignSecrets:
    def test_a_test_offers_nothing_and_names_the_connector(self, play: Play, edited: Path) -> None:
        told = play("connector_test", connectors=["a"], fail=False)
        (result,) = told["results"]
        assert (result["status"], result["verdict"], result["field"]) == ("fail", "config_invalid", "smtp.password")
        assert result["remedy"].startswith(f"What the registry holds cannot be used: {FOREIGN}")
        assert PASSWORD not in json.dumps(told)
        assert result["endpoints"] == []

    def test_init_mail_sends_nothing(self, play: Play, edited: Path) -> None:
        told = play("init_mail", connectors=["a"], to="tests@example.com")
        assert told["failed"]
        assert FOREIGN in json.dumps(told)

    def test_an_application_is_not_given_it_beside_another_host(self, play: Play, edited: Path, tmp_path: Path) -> None:
        """Security review, finding 3 (d)."""
        settings = tmp_path / "msmtprc"
        told = play("connector_config", connector="a", app="msmtp", path=str(settings))
        assert told["msg"].startswith(FOREIGN)
        assert not settings.exists()

    @pytest.mark.parametrize("check", [False, True])
    def test_a_change_asks_for_it(self, play: Play, edited: Path, check: bool) -> None:
        before = folder_content(edited.parent)
        told = play("connector", name="a", description="new", check=check)
        assert told["msg"].startswith(
            "connector a: smtp.password: must be given again, since the stored secret was sealed "
        )
        assert folder_content(edited.parent) == before

    def test_given_again_it_is_stored_under_on_create(self, play: Play, edited: Path) -> None:
        mend = {"name": "a", "smtp": {**SMTP}, "update_password": "on_create"}
        assert play("connector", **mend)["changed"]
        assert not play("connector", **mend)["changed"]
        assert play("connector_info", name="a")["connectors"][0]["secrets"] == ["smtp.password"]

    def test_foreign_secret_is_not_listed_as_stored_and_a_warning_says_why(self, play: Play, edited: Path) -> None:
        told = play("connector_info", name="a")
        assert told["connectors"][0]["secrets"] == []
        (warning,) = told["warnings"]
        assert warning.startswith("connector a: smtp.password: ")

    def test_without_the_key_it_is_listed(self, play: Play, edited: Path) -> None:
        Path(f"{edited}.key").unlink()
        told = play("connector_info", name="a")
        assert told["connectors"][0]["secrets"] == ["smtp.password"]
        assert "warnings" not in told

    def test_a_key_that_cannot_be_read_is_no_failure(self, play: Play, edited: Path) -> None:
        told = play("connector_info", name="a", registry_key="malformed")
        assert told["connectors"][0]["secrets"] == ["smtp.password"]

    def test_one_does_not_keep_the_others_from_being_tested(self, play: Play, edited: Path) -> None:
        play("connector", name="b", smtp={"host": "localhost", "port": 1, "security": "none"})
        told = play("connector_test", fail=False)
        verdicts = {result["connector"]: result["verdict"] for result in told["results"]}
        assert verdicts == {"a": "config_invalid", "b": "connect_refused"}


class TestPermittedChanges:
    @pytest.mark.parametrize("check", [False, True])
    def test_without_the_key_the_task_fails_and_nothing_changes(
        self, play: Play, registry_path: Path, check: bool
    ) -> None:
        play("connector", name="a", smtp={**SMTP, "port": 587}, registry_key=KEY)
        before = folder_content(registry_path.parent)
        told = play("connector", name="a", smtp={"port": 25}, check=check)
        assert told["msg"].startswith("connector a: smtp.password: must be sealed anew")
        assert folder_content(registry_path.parent) == before

    def test_secret_stays_where_its_key_is_given(self, play: Play, registry_path: Path) -> None:
        play("connector", name="a", smtp={**SMTP, "port": 587})
        assert play("connector", name="a", smtp={"port": 25})["changed"]
        assert not play("connector", name="a", smtp={"port": 25, "password": PASSWORD})["changed"]

    def test_a_rename_needs_no_key(self, play: Play) -> None:
        play("connector", name="a", smtp=SMTP, registry_key=KEY)
        assert play("connector", name="a", new_name="b")["changed"]
        assert not play("connector", name="b", smtp={"password": PASSWORD}, registry_key=KEY)["changed"]


class TestMigration:
    def rerun(self, play: Play, declared: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        return play("connectors", connectors=declared, **more)

    def test_a_rerun_is_not_changed_and_seals_anew(
        self, play: Play, registry_path: Path, released: list[dict[str, Any]]
    ) -> None:
        told = self.rerun(play, released)
        assert not told["changed"]
        assert [text for text in told.get("warnings", []) if "sealed" in text] == []
        assert ask_file(registry_path, "SELECT count(*) FROM secret WHERE form = 1") == [(0,)]
        assert not self.rerun(play, released)["changed"]

    def test_secrets_are_sealed_anew_with_verify_too_where_nothing_is_tested(
        self, play: Play, registry_path: Path, released: list[dict[str, Any]]
    ) -> None:
        assert not self.rerun(play, released, verify="connect")["changed"]
        assert ask_file(registry_path, "SELECT count(*) FROM secret WHERE form = 1") == [(0,)]

    def test_check_mode_migrates_nothing(self, play: Play, registry_path: Path, released: list[dict[str, Any]]) -> None:
        before = folder_content(registry_path.parent)
        assert not self.rerun(play, released, check=True)["changed"]
        assert folder_content(registry_path.parent) == before

    @pytest.mark.parametrize("check", [False, True])
    def test_without_the_key_a_warning_names_the_secrets(
        self, play: Play, registry_path: Path, released: list[dict[str, Any]], check: bool
    ) -> None:
        Path(f"{registry_path}.key").unlink()
        edit_file(registry_path, "DELETE FROM secret WHERE field <> 'imap.proxy_password'")
        told = play("connector", name="without_secrets", description="new", check=check)
        assert told["changed"]
        (warning,) = told["warnings"]
        assert warning.endswith(": connector proxied: imap.proxy_password")
        assert not Path(f"{registry_path}.key").exists()

    def test_the_warning_stays_short(self, play: Play, registry_path: Path, released: list[dict[str, Any]]) -> None:
        Path(f"{registry_path}.key").unlink()
        (warning,) = play("connector", name="alerts", description="new")["warnings"]
        assert warning.count("connector ") == 20
        assert warning.endswith("; and others")

    def test_a_new_first_key_is_changed_as_ever(
        self, play: Play, registry_path: Path, released: list[dict[str, Any]]
    ) -> None:
        old = Path(f"{registry_path}.key").read_text("ascii").strip()
        keys = {"registry_key": f"{NEW_KEY},{old}"}
        assert self.rerun(play, released, check=True, **keys)["changed"]
        assert self.rerun(play, released, **keys)["changed"]
        assert not self.rerun(play, released, **keys)["changed"]
        assert not self.rerun(play, released, registry_key=NEW_KEY)["changed"]

    def test_another_task_that_writes_migrates_as_well(
        self, play: Play, registry_path: Path, released: list[dict[str, Any]]
    ) -> None:
        assert not play("connector_purpose", purpose="alerts", connector="alerts")["changed"]
        assert ask_file(registry_path, "SELECT count(*) FROM secret WHERE form = 1") == [(0,)]
