# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What connector_config leaves on the disk, and what it says of it."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._errors import RegistryError
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry

from .conftest import Play

PASSWORD = "Rumpelstilzchen-7f3a9c51e2"
SIGNED_IN = {"host": "mail.example.com", "username": "mailer", "password": PASSWORD}
MAIN = "relayhost = old.example.com\nother = value\n"
HIDDEN = 0o600
Config = Callable[..., dict[str, Any]]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc"


@pytest.fixture(scope="module")
def filled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the registry that each test begins with is kept, once one has made it."""
    return tmp_path_factory.mktemp("filled") / "registry"


@pytest.fixture
def filled(play: Play, filled_folder: Path, registry_path: Path) -> Play:
    """A registry with connectors, one of them bound to alerts, another for one tenant."""
    if filled_folder.exists():
        shutil.copytree(filled_folder, registry_path.parent)
        return play
    entries = [
        {"name": "main", "smtp": SIGNED_IN},
        {"name": "open", "smtp": {"host": "relay.example.com"}},
        {"name": "acme", "smtp": SIGNED_IN, "available_to": ["acme"]},
        {"name": "rich", "smtp": SIGNED_IN, "reply_to": "a@example.com", "cc": ["b@example.com"]},
        {"name": "off", "smtp": SIGNED_IN, "enabled": False},
        {"name": "reading", "imap": SIGNED_IN},
    ]
    bound = {"alerts": "main", "alerts@acme": "acme"}
    play("connectors", connectors=entries, purposes=bound, default="open")
    shutil.copytree(registry_path.parent, filled_folder)
    return play


class TestAFileOfItsOwn:
    @pytest.fixture
    def path(self, folder: Path) -> Path:
        return folder / "msmtprc"

    @pytest.fixture
    def config(self, filled: Play, path: Path) -> Config:
        return lambda **options: filled("connector_config", **{"app": "msmtp", "path": str(path), **options})

    def test_check_mode_says_the_same_and_writes_nothing(self, config: Config, path: Path) -> None:
        planned = config(connector="main", check=True)
        assert not path.exists()
        made = config(connector="main")
        again = config(connector="main")
        assert [(each["changed"], each["connector"], each["path"]) for each in (planned, made, again)] == [
            (True, "main", str(path)),
            (True, "main", str(path)),
            (False, "main", str(path)),
        ]
        assert planned["diff"] == made["diff"]
        assert again["diff"] == []
        assert (mode_of(path), f'password "{PASSWORD}"\n' in path.read_text()) == (HIDDEN, True)
        assert PASSWORD not in str([planned, made, again])

    def test_another_password(self, config: Config, filled: Play, path: Path) -> None:
        config(connector="main")
        filled("connector", name="main", smtp={"password": "another"})
        (diff,) = config(connector="main")["diff"]
        assert ("password (stored)\n" in diff["before"], "password (changed)\n" in diff["after"]) == (True, True)
        assert 'password "another"\n' in path.read_text()

    @pytest.mark.parametrize(
        ("options", "name"),
        [
            ({"purpose": "alerts"}, "main"),
            ({"purpose": "alerts", "tenant": "acme"}, "acme"),
            ({"purpose": "alerts", "tenant": "globex"}, "main"),
            ({"purpose": "campaigns"}, "open"),
        ],
    )
    def test_by_purpose(self, config: Config, path: Path, options: dict[str, Any], name: str) -> None:
        assert config(**options)["connector"] == name
        assert f"account {name}\n" in path.read_text()

    def test_what_is_not_needed_any_more_goes(self, config: Config, path: Path, registry_path: Path) -> None:
        config(connector="main")
        registry_path.unlink()
        planned = config(state="absent", check=True)
        assert (planned["changed"], path.exists()) == (True, True)
        gone, again = config(state="absent"), config(state="absent")
        assert (gone["changed"], gone["diff"], gone["connector"]) == (True, planned["diff"], None)
        assert (again["changed"], again["diff"], path.exists()) == (False, [], False)

    def test_a_file_of_others(self, config: Config, path: Path) -> None:
        path.write_text("account mine\npassword hunter2\n")
        assert config(state="absent")["changed"] is False
        assert "hunter2" not in str(config(connector="main"))
        assert "mine" not in path.read_text()

    def test_owner_group_and_mode(self, config: Config, path: Path) -> None:
        result = config(connector="main", mode="0640", owner=str(os.getuid()), group=str(os.getgid()))
        assert ("warnings" in result, mode_of(path)) == (False, 0o640)
        planned = config(connector="main", check=True)
        assert (planned["changed"], mode_of(path)) == (True, 0o640)
        narrowed = config(connector="main")
        assert (narrowed["changed"], narrowed["diff"], mode_of(path)) == (True, planned["diff"], HIDDEN)
        assert narrowed["diff"][0]["before"] == {"mode": "0640"}

    def test_everybody_reading_the_password_is_warned_about(self, config: Config, path: Path) -> None:
        for _time in range(2):
            (warning,) = config(connector="main", mode="0644")["warnings"]
            assert warning.startswith(f"Everybody on this host can read the password in {path}")
        assert "warnings" not in config(connector="open", mode="0644")

    def test_nobody_else_can_read_it_at_any_moment(
        self, config: Config, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path.write_text("mine")
        path.chmod(0o644)
        seen: list[int] = []

        def recording(call: Callable[..., Any]) -> Callable[..., Any]:
            def recorded(*arguments: Any, **more: Any) -> Any:
                result = call(*arguments, **more)
                seen.extend(mode_of(each) for each in path.parent.iterdir() if PASSWORD in each.read_text())
                return result

            return recorded

        for name in ("open", "write", "fchown", "fchmod", "link", "rename"):
            monkeypatch.setattr(os, name, recording(getattr(os, name)))
        for _time in ("in place of another", "anew"):
            seen.clear()
            before = os.umask(0)
            try:
                config(connector="main")
            finally:
                os.umask(before)
            assert set(seen) == {HIDDEN}
            path.unlink()

    def test_a_copy_of_what_was_there(self, config: Config, path: Path) -> None:
        assert "backup_file" not in config(connector="main", backup=True)
        before = path.read_text()
        assert "backup_file" not in config(connector="main", backup=True)
        assert "backup_file" not in config(connector="open", backup=True, check=True)
        copy = Path(config(connector="open", backup=True)["backup_file"])
        assert (copy.read_text(), mode_of(copy)) == (before, HIDDEN)
        assert "backup_file" in config(state="absent", backup=True)

    def test_an_owner_who_does_not_exist_changes_nothing(self, config: Config, path: Path) -> None:
        path.write_text("mine")
        assert "nobody-knows" in config(connector="main", owner="nobody-knows", backup=True)["msg"]
        assert path.read_text() == "mine"
        assert "mode" in config(connector="main", mode="rw for me")["msg"]
        assert path.read_text() == "mine"

    def test_a_link_that_is_followed_stays_a_link(self, config: Config, path: Path, folder: Path) -> None:
        path.symlink_to("elsewhere")
        assert config(connector="main", follow=True)["path"] == str(folder / "elsewhere")
        assert (path.is_symlink(), "account main" in path.read_text()) == (True, True)

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"connector": "nobody"}, "connector nobody: there is no such connector"),
            ({"connector": "no name"}, "connector: must be 1 to 50 letters, digits or underscores"),
            ({"connector": "off"}, "connector off: enabled: the connector is disabled"),
            ({"connector": "reading"}, "connector reading: smtp: the connector only receives mail"),
            ({"purpose": "a b"}, "purpose: must be 1 to 100 letters, digits or any of _ . -"),
            ({}, "connector: is required with state present, unless purpose is given"),
            ({"connector": "main", "purpose": "alerts"}, "purpose: cannot be given with connector"),
            ({"connector": "main", "tenant": "acme"}, "purpose: is required with tenant"),
            ({"connector": "main", "path": "msmtprc"}, "path: must be an absolute path"),
            ({"connector": "main", "path": "/nowhere/msmtprc"}, "path: is in a folder that does not exist"),
            (
                {"connector": "main", "options": {"password_file": "/etc/p"}},
                "options.password_file: is not for msmtp, which keeps the password in the file at path",
            ),
            ({"connector": "main", "app": "sendmail"}, "app: must be one of accuknox, alertmanager, django"),
            (
                {"connector": "main", "options": {"leave_out": ["smtp.host"]}},
                "options.leave_out: must be a list of any of from_address, from_name",
            ),
        ],
    )
    def test_what_is_refused(self, config: Config, path: Path, options: dict[str, Any], told: str) -> None:
        assert told in config(**options)["msg"]
        assert not path.exists()

    def test_all_that_it_cannot_express_is_told_at_once(self, config: Config, path: Path) -> None:
        result = config(connector="rich")
        assert [(each["where"], each["field"]) for each in result["problems"]] == [
            ("connector rich", "reply_to"),
            ("connector rich", "cc"),
        ]
        assert [each["field"] for each in config(connector="rich", options={"leave_out": ["cc"]})["problems"]] == [
            "reply_to"
        ]
        assert config(connector="rich", options={"leave_out": ["cc", "reply_to"]})["changed"]

    def test_what_cannot_be_read_or_written(self, config: Config, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path.mkdir()
        assert config(connector="main")["msg"] == f"{path} cannot be read: Is a directory"
        path.rmdir()

        def full(*_arguments: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "write", full)
        assert config(connector="main")["msg"] == f"{path} cannot be written: No space left on device"
        assert list(path.parent.iterdir()) == []

    def test_without_a_registry(self, play: Play, path: Path, registry_path: Path) -> None:
        result = play("connector_config", connector="main", app="msmtp", path=str(path))
        assert result["msg"] == f"registry {registry_path}: there is no registry here yet"


class TestABlockAndAFileForThePassword:
    @pytest.fixture
    def path(self, folder: Path) -> Path:
        path = folder / "main.cf"
        path.write_text(MAIN)
        path.chmod(0o644)
        return path

    @pytest.fixture
    def password(self, folder: Path) -> Path:
        return folder / "mailroom_password"

    @pytest.fixture
    def config(self, filled: Play, path: Path) -> Config:
        return lambda **options: filled("connector_config", **{"app": "postfix", "path": str(path), **options})

    def test_there_and_back(self, config: Config, path: Path, password: Path) -> None:
        planned = config(connector="main", check=True)
        assert (path.read_text(), password.exists()) == (MAIN, False)
        made, again = config(connector="main"), config(connector="main")
        assert (made["changed"], made["diff"], again["changed"]) == (True, planned["diff"], False)
        assert [each["after_header"] for each in made["diff"]] == [str(password), str(path)]
        assert (mode_of(path), mode_of(password)) == (0o644, HIDDEN)
        assert f"mailer:{PASSWORD}\n" in password.read_text()
        gone = config(state="absent")
        assert (gone["changed"], path.read_text(), password.exists()) == (True, MAIN, False)
        assert config(state="absent")["changed"] is False
        assert PASSWORD not in str([planned, made, again, gone])

    def test_mode_and_owner_are_those_of_the_password(self, config: Config, path: Path, password: Path) -> None:
        config(connector="main", mode="0640")
        assert (mode_of(path), mode_of(password)) == (0o644, 0o640)
        assert str(password) in config(connector="main", mode="0644")["warnings"][0]

    def test_a_password_that_is_not_needed_any_more_goes(self, config: Config, password: Path, folder: Path) -> None:
        config(connector="main")
        other = {"password_file": str(folder / "other")}
        moved = config(connector="main", options=other)
        assert [each["after_header"] for each in moved["diff"]][::2] == [str(folder / "other"), str(password)]
        assert ((folder / "other").exists(), password.exists()) == (True, False)
        left = config(connector="open", options=other)
        assert (left["diff"][1]["before"], left["diff"][1]["after"]) == ("(stored)\n", "")
        assert ((folder / "other").exists(), password.exists()) == (False, False)

    def test_a_registry_that_cannot_be_written_is_a_warning(
        self, filled: Play, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, password = folder / "alertmanager.yml", folder / "mailroom_password"
        path.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
        filled("connector", name="main", from_address="a@example.com")
        task = {"app": "alertmanager", "path": str(path)}

        def refuse(_registry: Registry) -> NoReturn:
            raise RegistryError("The registry cannot be changed: it is read-only.")

        monkeypatch.setattr(Registry, "writing", refuse)
        result = filled("connector_config", connector="main", **task)
        assert (result["changed"], password.read_text()) == (True, PASSWORD)
        (warning,) = result["warnings"]
        assert warning.startswith(f"The registry could not record that {password} was written by this task")
        (warning,) = filled("connector_config", state="absent", **task)["warnings"]
        assert warning.startswith(f"The password file {password} was left as it is")
        monkeypatch.undo()
        assert password.exists()

    def test_a_password_alone_changes(self, config: Config, filled: Play, password: Path) -> None:
        config(connector="main")
        filled("connector", name="main", smtp={"password": "another"})
        (diff,) = config(connector="main")["diff"]
        assert (diff["before"], diff["after"]) == ("(stored)\n", "(changed)\n")
        assert "another" in password.read_text()

    def test_nothing_of_it_is_done_where_one_file_cannot_be(self, config: Config, path: Path, password: Path) -> None:
        password.mkdir()
        assert config(connector="main")["msg"] == f"{password} cannot be read: Is a directory"
        assert path.read_text() == MAIN

    def test_what_is_no_utf_8_stays(self, config: Config, path: Path) -> None:
        odd = b"# gr\xfc\xdfe\r\nother = 1\n"
        path.write_bytes(odd)
        config(connector="main")
        assert path.read_bytes().startswith(odd)
        config(state="absent")
        assert path.read_bytes() == odd

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"password_file": "relative"}, "options.password_file: must be an absolute path"),
            ({"password_file": "/nowhere/password"}, "options.password_file: is in a folder that does not exist"),
        ],
    )
    def test_where_the_password_cannot_be(self, config: Config, options: dict[str, Any], told: str) -> None:
        assert told in config(connector="main", options=options)["msg"]

    def test_the_password_is_in_another_file(self, config: Config, path: Path) -> None:
        told = config(connector="main", options={"password_file": str(path)})["msg"]
        assert told == "options.password_file: must be a different file than path"

    def test_an_application_that_is_not_there(self, config: Config, path: Path) -> None:
        path.unlink()
        assert config(connector="main")["msg"] == "path: does not exist: postfix must be configured there first"
        assert config(state="absent")["changed"] is False


class TestAPasswordInAFileOfOthers:
    """As in grafana.ini: everybody else is kept out of the file, and all else of it stays."""

    @pytest.fixture
    def path(self, folder: Path) -> Path:
        return folder / "grafana.ini"

    @pytest.fixture
    def config(self, filled: Play, path: Path) -> Config:
        options = {"app": "gitea", "path": str(path), "connector": "main", "options": {"leave_out": []}}
        filled("connector", name="main", from_address="a@example.com")
        return lambda **more: filled("connector_config", **{**options, **more})

    @pytest.mark.parametrize(("before", "after"), [(0o644, 0o600), (0o664, 0o600), (0o640, 0o640), (0o400, 0o400)])
    def test_mode_that_lets_everybody_in_is_replaced(self, config: Config, path: Path, before: int, after: int) -> None:
        path.write_text("[server]\nDOMAIN = a\n")
        path.chmod(before)
        made, again = config(), config()
        assert (made["changed"], again["changed"], mode_of(path)) == (True, False, after)
        assert f"PASSWD = {PASSWORD}\n" in path.read_text()
        assert PASSWORD not in str([made, again])
        config(mode="0600")
        assert mode_of(path) == HIDDEN
        assert config(state="absent", connector=None)["changed"]
        assert path.read_text() == "[server]\nDOMAIN = a\n"

    def test_missing_file_is_made_and_goes_again(self, config: Config, path: Path) -> None:
        config()
        assert mode_of(path) == HIDDEN
        config(state="absent", connector=None)
        assert not path.exists()

    def test_file_without_the_password_can_be_read_by_the_application(self, config: Config, path: Path) -> None:
        password = path.with_name("password")
        options = {"leave_out": ["from_address", "smtp.validate_certs"], "password_file": str(password)}
        config(app="dma", options=options)
        assert (mode_of(path), mode_of(password)) == (0o644, HIDDEN)

    def test_result_names_the_service_and_the_check(self, config: Config, path: Path) -> None:
        result = config()
        assert result["service"] == {"name": "gitea", "state": "restarted"}
        assert result["check"][-1] == str(path)


class TestValidate:
    """New settings are checked by a program before they replace anything."""

    @pytest.fixture
    def path(self, folder: Path) -> Path:
        path = folder / "app.ini"
        path.write_text("[server]\nDOMAIN = a\n")
        return path

    @pytest.fixture
    def config(self, filled: Play, path: Path) -> Config:
        options = {"app": "gitea", "path": str(path), "connector": "main"}
        filled("connector", name="main", from_address="a@example.com")
        return lambda **more: filled("connector_config", **{**options, **more})

    def test_command_that_succeeds_has_read_the_settings_without_their_secrets(
        self, config: Config, path: Path, folder: Path
    ) -> None:
        copy = folder / "copy"
        assert config(validate=f'sh -c \'cp -p "$1" {copy}; basename "$1" >> {copy}\' sh %s')["changed"]
        assert copy.read_text() == path.read_text().replace(PASSWORD, "placeholder") + "app.ini\n"
        assert mode_of(copy) == HIDDEN
        copy.unlink()
        assert not config(validate=f"touch {copy} %s")["changed"]
        assert not copy.exists()

    def test_settings_that_the_command_refuses_are_not_written(self, config: Config, path: Path, folder: Path) -> None:
        result = config(validate="sh -c 'echo \"$1: line 3\tis wrong\" >&2; exit 2' sh %s")
        assert result["msg"] == f"{path} was not changed: the command of validate refuses it: {path}: line 3 is wrong"
        assert path.read_text() == "[server]\nDOMAIN = a\n"
        assert [each.name for each in folder.iterdir()] == ["app.ini"]

    @pytest.mark.parametrize("app", ["json", "template", "yaml"])
    def test_copy_has_the_form_of_the_settings_and_no_secret(
        self, config: Config, folder: Path, path: Path, app: str
    ) -> None:
        copy, settings = folder / "copy", folder / "settings"
        options = {"template": "password = ${smtp.password|raw}\n"} if app == "template" else {}
        task = {"app": app, "path": str(settings), "options": options}
        assert config(**task, validate=f"cp %s {copy}").get("msg") is None
        assert PASSWORD in settings.read_text()
        assert copy.read_text() == settings.read_text().replace(PASSWORD, "placeholder")

    @pytest.mark.parametrize("password", [PASSWORD, "pass\u00adw\u200bord9-Rumpel"])
    def test_password_that_the_command_says_is_redacted(self, config: Config, filled: Play, password: str) -> None:
        filled("connector", name="main", smtp={"password": password})
        result = config(validate=f"sh -c 'echo no {password}; exit 1' sh %s")
        assert "refuses it: no ***" in result["msg"]
        assert password[-6:] not in result["msg"]

    def test_missing_command_is_an_error_and_in_check_mode_a_warning(self, config: Config, path: Path) -> None:
        reason = "the command of validate cannot be run: no-such-program: No such file or directory"
        assert config(validate="no-such-program %s")["msg"] == f"{path} was not changed: {reason}"
        checked = config(validate="no-such-program %s", check=True)
        assert (checked["changed"], checked["warnings"]) == (True, [f"{path} was not validated, {reason}"])

    @pytest.mark.parametrize("command", ["", "amtool check-config", "sh -c 'x %s"])
    def test_command_without_a_path_is_refused(self, config: Config, command: str) -> None:
        wanted = "validate: must be a command with %s in it, which stands for the path of the new settings"
        assert wanted in config(validate=command)["msg"]


class TestAList:
    """Several applications in one task."""

    @pytest.fixture
    def entries(self, folder: Path) -> list[dict[str, Any]]:
        (folder / "main.cf").write_text(MAIN)
        return [
            {"app": "msmtp", "path": str(folder / "msmtprc"), "purpose": "alerts", "mode": "0640"},
            {"app": "postfix", "path": str(folder / "main.cf"), "connector": "main"},
            {"app": "env", "path": str(folder / "env"), "connector": "main", "options": {"prefix": "MAIL_"}},
        ]

    def test_each_is_written_as_it_would_be_alone(self, filled: Play, folder: Path, entries: list[Any]) -> None:
        planned = filled("connector_config", applications=entries, check=True)
        assert sorted(path.name for path in folder.iterdir()) == ["main.cf"]
        made = filled("connector_config", applications=entries)
        again = filled("connector_config", applications=entries)
        assert made == planned
        assert [(each["app"], each["changed"], each["connector"]) for each in made["results"]] == [
            (entry["app"], True, "main") for entry in entries
        ]
        assert (made["results"][1]["service"], len(made["diff"])) == ({"name": "postfix", "state": "reloaded"}, 4)
        assert (again["changed"], again["diff"]) == (False, [])
        assert [mode_of(folder / name) for name in ("msmtprc", "env")] == [0o640, HIDDEN]
        assert [filled("connector_config", **entry)["changed"] for entry in entries] == [False] * 3
        assert PASSWORD not in str([planned, made, again])

    def test_one_that_fails_keeps_none_of_the_others_from_it(
        self, filled: Play, folder: Path, entries: list[Any]
    ) -> None:
        entries[1]["connector"] = "reading"
        result = filled("connector_config", applications=entries)
        assert result["failed"] is True
        assert result["msg"] == (
            "1 of 3 applications could not be configured:\n"
            f"- postfix {folder}/main.cf: connector reading: smtp: the connector only receives mail"
        )
        assert [(each["changed"], each.get("failed", False)) for each in result["results"]] == [
            (True, False),
            (False, True),
            (True, False),
        ]
        assert result["changed"] is True
        assert (folder / "env").exists()

    def test_malformed_entries_are_refused_together(self, filled: Play, folder: Path, entries: list[Any]) -> None:
        del entries[0]["path"]
        entries[1]["paht"] = "/nowhere"
        entries[2]["tenant"] = "acme"
        result = filled("connector_config", applications=entries)
        assert [(each["where"], each["field"]) for each in result["problems"]] == [
            ("applications[0]", "path"),
            ("applications[1]", "paht"),
            ("applications[2]", "purpose"),
        ]
        assert not (folder / "env").exists()

    def test_a_list_and_an_application_are_refused(self, filled: Play, entries: list[Any]) -> None:
        result = filled("connector_config", applications=entries, app="msmtp")
        assert result["msg"] == "app: cannot be given with applications"
        assert filled("connector_config", applications=[])["msg"] == "applications: must not be empty"
        assert (
            filled("connector_config", applications=["msmtp"])["msg"] == "applications: must be a list of dictionaries"
        )


class TestATemplate:
    @pytest.fixture
    def path(self, folder: Path) -> Path:
        return folder / "mail.toml"

    @pytest.fixture
    def config(self, filled: Play, path: Path) -> Config:
        template = "host = '${smtp.host}'\npassword = ${smtp.password|json}\n"
        options = {"app": "template", "path": str(path), "options": {"template": template}}
        return lambda **more: filled("connector_config", **{**options, **more})

    def test_there_and_back(self, config: Config, path: Path) -> None:
        made, again = config(connector="main"), config(connector="main")
        assert (made["changed"], again["changed"], mode_of(path)) == (True, False, HIDDEN)
        assert path.read_text() == f"host = 'mail.example.com'\npassword = \"{PASSWORD}\"\n"
        assert PASSWORD not in str(made)
        gone = config(state="absent", options=None)
        assert (gone["changed"], path.exists()) == (True, False)

    def test_file_that_was_changed_by_others_stays(self, config: Config, path: Path) -> None:
        config(connector="main")
        path.write_text("mine")
        assert config(state="absent", options=None)["changed"] is False
        assert path.read_text() == "mine"

    def test_placeholder_that_cannot_be_filled_is_one_sentence(self, config: Config, path: Path) -> None:
        said = config(connector="main", options={"template": "${smtp.password}"})["msg"]
        assert said.startswith("options.template: line 1: ${smtp.password}: name how it is quoted")
        assert not path.exists()
