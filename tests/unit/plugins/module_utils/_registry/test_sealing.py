# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, InvalidToken
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._errors import MissingLibrary, RegistryKeyError
from ansible_collections.mailroom.core.plugins.module_utils._registry.key_source import KeySource
from ansible_collections.mailroom.core.plugins.module_utils._registry.sealing import (
    FORM,
    Binding,
    KeyRing,
    NotOpened,
    Sealed,
)

from .processes import without_privileges
from .samples import FOREIGN_KEY, KEY, NEW_KEY, mode

SECRET = Secret("correct horse, battery staple: ä€😀")
BINDING = Binding("registry", "connector", "smtp.password", "destination")
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)


def ring_of(text: str) -> KeyRing:
    ring = KeySource(Secret(text), "/nowhere").ring()
    assert ring is not None
    return ring


@pytest.fixture
def key_file(tmp_path: Path) -> Iterator[Path]:
    """Where tests write keys, for their owner alone."""
    before = os.umask(0o077)
    yield tmp_path / "registry.db.key"
    os.umask(before)


def source_of(key_file: Path) -> KeySource:
    return KeySource(None, str(key_file))


@pytest.fixture
def permissive_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


class TestTokens:
    @given(TEXTS)
    def test_what_was_sealed_opens_again(self, text: str) -> None:
        ring = ring_of(KEY)
        assert ring.open(ring.seal(Secret(text), BINDING), BINDING).reveal() == text

    def test_a_token_of_cryptography_itself_opens_as_the_old_form(self) -> None:
        token = Fernet(KEY).encrypt(b"hello").decode()
        assert ring_of(KEY).open_old(Sealed(ring_of(KEY).sealing_key_id, "", token)).reveal() == "hello"

    def test_neither_form_opens_as_the_other(self) -> None:
        ring = ring_of(KEY)
        sealed = ring.seal(SECRET, BINDING)
        with pytest.raises(NotOpened):
            ring.open_old(sealed._replace(form=1))
        with pytest.raises(InvalidToken):
            Fernet(KEY).decrypt(sealed.token.encode())
        old = sealed._replace(token=Fernet(KEY).encrypt(b"hello").decode())
        with pytest.raises(NotOpened):
            ring.open(old, BINDING)

    @pytest.mark.parametrize("part", Binding._fields)
    def test_secret_opens_and_compares_with_its_own_binding_only(self, part: str) -> None:
        ring, other = ring_of(KEY), BINDING._replace(**{part: "other"})
        sealed = ring.seal(SECRET, BINDING)
        assert ring.is_sealed(sealed, BINDING, SECRET)
        assert not ring.is_sealed(sealed, other, SECRET)
        with pytest.raises(NotOpened):
            ring.open(sealed, other)

    @pytest.mark.parametrize("part", Sealed._fields)
    def test_all_that_is_kept_is_covered_by_the_mac(self, part: str) -> None:
        ring = ring_of(f"{KEY},{NEW_KEY}")
        sealed, another = ring.seal(SECRET, BINDING), ring.seal(SECRET, BINDING, ring_of(NEW_KEY).sealing_key_id)
        value = 1 if part == "form" else getattr(another, part)
        mixed = sealed._replace(**{part: value})
        assert not ring.is_bound(mixed, BINDING)
        assert not ring.is_sealed(mixed, BINDING, SECRET)
        with pytest.raises(NotOpened):
            ring.open(mixed, BINDING)

    def test_the_document_itself_says_what_it_belongs_to(self) -> None:
        """A MAC that were forged for a token would still not let it open as something else."""
        ring, other = ring_of(KEY), BINDING._replace(connector="other")
        sealed, decoy = ring.seal(SECRET, BINDING), ring.seal(SECRET, other)
        forged = decoy._replace(token=sealed.token)
        forged = forged._replace(mac=ring.key_of(forged).mac(forged, other))
        assert ring.is_bound(forged, other)
        with pytest.raises(NotOpened):
            ring.open(forged, other)

    def test_what_is_kept_never_shows_the_secret(self) -> None:
        kept = " ".join(map(str, ring_of(KEY).seal(Secret("swordfish"), BINDING)))
        assert "swordfish" not in kept
        assert KEY not in kept

    def test_neither_token_nor_fingerprint_tells_that_two_secrets_are_equal(self) -> None:
        one, other = ring_of(KEY).seal(SECRET, BINDING), ring_of(KEY).seal(SECRET, BINDING)
        assert one.token != other.token
        assert one.fingerprint != other.fingerprint
        assert one.fingerprint[:16] != other.fingerprint[:16]

    @pytest.mark.parametrize("token", ["", "gAAAAA", "\N{SNOWMAN}", "A" * 1_000_000])
    def test_a_damaged_token_does_not_open(self, token: str) -> None:
        sealed = ring_of(KEY).seal(SECRET, BINDING)._replace(token=token)
        with pytest.raises(NotOpened):
            ring_of(KEY).open(sealed, BINDING)
        with pytest.raises(NotOpened):
            ring_of(KEY).open_old(sealed._replace(form=1))


class TestRotation:
    @pytest.mark.parametrize("separator", [",", ", ", "\n", "\r\n", ",\n", " , "])
    def test_the_first_key_seals_and_all_open(self, separator: str) -> None:
        old = ring_of(KEY).seal(SECRET, BINDING)
        ring = ring_of(separator.join([NEW_KEY, KEY]) + separator)
        new = ring.seal(SECRET, BINDING)
        assert ring.open(old, BINDING).reveal() == ring.open(new, BINDING).reveal() == SECRET.reveal()
        assert ring_of(NEW_KEY).open(new, BINDING).reveal() == SECRET.reveal()
        assert new.key_id == ring.sealing_key_id == ring_of(NEW_KEY).sealing_key_id
        assert old.key_id == ring_of(KEY).sealing_key_id
        assert ring.key_ids == {old.key_id, new.key_id}

    def test_old_secrets_compare_without_opening(self) -> None:
        old = ring_of(KEY).seal(SECRET, BINDING)
        ring = ring_of(f"{NEW_KEY}\n{KEY}")
        assert ring.is_sealed(old, BINDING, SECRET)
        assert not ring.is_sealed(old, BINDING, Secret("another"))

    @pytest.mark.parametrize("way", ["open", "compare"])
    def test_a_foreign_key_is_told_from_a_wrong_secret(self, way: str) -> None:
        sealed, ring = ring_of(FOREIGN_KEY).seal(SECRET, BINDING), ring_of(f"{NEW_KEY},{KEY}")
        with pytest.raises(RegistryKeyError) as refused:
            ring.open(sealed, BINDING) if way == "open" else ring.is_sealed(sealed, BINDING, SECRET)
        assert str(refused.value) == (
            f"The registry holds secrets that are sealed with key {sealed.key_id}, which is not among the keys given in"
            " registry_key or registry_key_file."
        )

    def test_what_older_releases_have_sealed_still_opens_and_compares(self) -> None:
        sealed = Sealed(
            "d3b51e44624051a8",
            "dbff37031ab52e11dae34aa7cc845792dab7e2e21fca2a1586d94f31c3d72b587957c79fd3b64d57",
            "gAAAAABrAJ5JYuFFtZGuIZ0GU-PK4w7VVrprg7PLpJxsWmIO43Ig-tWXx-us7MWsfRgtOSJAhS8Y8XI79MYGKzW2fnkXocCeWg==",
        )
        assert ring_of(KEY).is_old(sealed, Secret("swordfish"))
        assert not ring_of(KEY).is_old(sealed, Secret("another"))
        assert ring_of(KEY).open_old(sealed).reveal() == "swordfish"

    def test_what_this_release_has_sealed_will_open_and_compare(self) -> None:
        """Registries hold tokens, fingerprints and MACs for years: what makes them never changes."""
        sealed = Sealed(
            "d3b51e44624051a8",
            "a242890b3a533dba25fa47f1b98690abf024c3c12d4d2892df957f87e0bd4f79b5b85771d07c2568",
            "gAAAAABrCkpkzaxrVPGh4rAu_Q0Y0hGSXJ8v_PXThe40cuxoXQQV6JIpfUorxEEeZSh1ZXVbMgaSKfo_PhKMvjXrl-VMR4CCLgKZ"
            "4wSg0wM1WY2YcGRhA9l1Z1xR8DiN74xhMM-gjll9qyiOBVtrhWSBPGCHWhEKzAltBVVVeMVKpcbSOj88dSp_Ih4hmmqyxMm51POs"
            "cjxfVzZJocpMKdE_RwBhip2KhiD8oDhUbA92qgWgPj5ecO1X8dgSC3Bm6306_3cVHgbn",
            FORM,
            "595e0baad44d5a23633d3e0f7f7d341885d0449c60687b28f16edaedca27afb6",
        )
        assert ring_of(KEY).is_sealed(sealed, BINDING, Secret("swordfish"))
        assert ring_of(KEY).open(sealed, BINDING).reveal() == "swordfish"


class TestWithoutCryptography:
    @given(TEXTS, TEXTS)
    def test_the_fingerprint_knows_its_secret(self, text: str, other: str) -> None:
        ring = ring_of(KEY)
        sealed = ring.seal(Secret(text), BINDING)
        assert ring.is_sealed(sealed, BINDING, Secret(text))
        assert ring.is_sealed(sealed, BINDING, Secret(other)) == (text == other)

    def test_comparing_imports_no_cryptography(self, request: pytest.FixtureRequest) -> None:
        sealed = ring_of(KEY).seal(SECRET, BINDING)
        request.getfixturevalue("no_cryptography")
        with pytest.raises(ImportError):
            __import__("cryptography.fernet")
        assert ring_of(KEY).is_sealed(sealed, BINDING, SECRET)
        assert not ring_of(KEY).is_sealed(sealed, BINDING, Secret("another"))

    def test_the_key_file_is_made_without_cryptography(self, no_cryptography: None, key_file: Path) -> None:
        assert source_of(key_file).make().key_ids

    @pytest.mark.parametrize("way", ["seal", "open"])
    def test_its_absence_is_one_sentence(self, request: pytest.FixtureRequest, way: str) -> None:
        sealed = ring_of(KEY).seal(SECRET, BINDING)
        request.getfixturevalue("no_cryptography")
        with pytest.raises(MissingLibrary, match=r"^The Python library cryptography is needed to .* \(.*\)\.$"):
            ring_of(KEY).seal(SECRET, BINDING) if way == "seal" else ring_of(KEY).open(sealed, BINDING)


MALFORMED = {
    "not base64": "swordfish!",
    "too short": "c3dvcmRmaXNo",
    "padding lost": KEY[:-1],
    "last letters lost": KEY[:-5],
    "too long": "A" * 64,
    "something behind it": f"{KEY}swordfish",
    "a letter that base64 does not know": f"{KEY[:8]}!{KEY[8:]}",
    "keys separated by a space": f"{KEY} {NEW_KEY}",
    "keys separated by a semicolon": f"{KEY};{NEW_KEY}",
    "a bad one among good ones": f"{KEY},swordfish,{NEW_KEY}",
    "not ASCII": "schlüssel",
    "look-alike letters": KEY.replace("A", "\N{GREEK CAPITAL LETTER ALPHA}"),
    "huge": "A" * 1_000_000,
    "NUL": "\0" * 44,
}
HOLDS = "must hold one or more Fernet keys (32 bytes in URL-safe base64), separated by commas or line breaks."


class TestMalformedKeys:
    def test_malformed_key_as_an_option_is_refused(self) -> None:
        for name, text in {**MALFORMED, "blank": " ", "a comma": ",", "lines": "\n,\n"}.items():
            with pytest.raises(RegistryKeyError) as refused:
                ring_of(text)
            assert str(refused.value) == f"registry_key {HOLDS}", name

    def test_malformed_key_in_the_key_file_is_refused(self, key_file: Path) -> None:
        contents = [MALFORMED["not base64"].encode(), b",", b"\xff\xfe\x00", b"\x00" * 44, bytes(range(256))]
        for content in contents:
            key_file.write_bytes(content)
            with pytest.raises(RegistryKeyError) as refused:
                source_of(key_file).ring()
            assert str(refused.value) == f"registry_key_file {key_file} {HOLDS}", content

    def test_no_message_repeats_what_was_given(self) -> None:
        with pytest.raises(RegistryKeyError) as refused:
            ring_of(f"{KEY},swordfish")
        assert KEY not in str(refused.value)
        assert "swordfish" not in str(refused.value)


class TestKeyFile:
    def test_a_given_key_wins_over_the_file(self, key_file: Path) -> None:
        key_file.write_text("not even a key")
        assert KeySource(Secret(KEY), str(key_file)).needed().key_ids == ring_of(KEY).key_ids

    def test_several_keys_in_lines(self, key_file: Path) -> None:
        key_file.write_text(f"{NEW_KEY}\r\n{KEY}\n\n")
        ring = source_of(key_file).needed()
        assert ring.sealing_key_id == ring_of(NEW_KEY).sealing_key_id
        assert ring.key_ids == ring_of(f"{KEY},{NEW_KEY}").key_ids

    def test_a_missing_one_is_no_key_yet(self, key_file: Path) -> None:
        assert source_of(key_file).ring() is None
        assert not key_file.exists()

    @pytest.mark.parametrize("content", ["", "\n", " \n" * 100])
    def test_a_blank_one_is_no_key_yet(self, key_file: Path, content: str) -> None:
        key_file.write_text(content)
        assert source_of(key_file).ring() is None

    @pytest.mark.parametrize("content", [None, ""])
    def test_one_that_is_needed_and_missing(self, key_file: Path, content: str | None) -> None:
        if content is not None:
            key_file.write_text(content)
        with pytest.raises(RegistryKeyError) as refused:
            source_of(key_file).needed()
        assert str(refused.value) == (
            "The registry holds secrets, and the key they are sealed with is missing: give registry_key, or put back"
            f" registry_key_file {key_file}."
        )

    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o177])
    def test_key_file_is_made_for_its_owner_alone(self, key_file: Path, permissive_umask: None, umask: int) -> None:
        os.umask(umask)
        made = source_of(key_file).make()
        assert mode(key_file) == 0o600
        assert Fernet(key_file.read_text().strip())
        assert source_of(key_file).needed().key_ids == made.key_ids

    def test_each_made_key_is_another(self, tmp_path: Path) -> None:
        rings = [source_of(tmp_path / str(number)).make() for number in range(3)]
        assert len({ring.sealing_key_id for ring in rings}) == 3

    @pytest.mark.parametrize("content", ["", "\n", " \n" * 100])
    def test_a_blank_one_is_filled(self, key_file: Path, content: str) -> None:
        key_file.write_text(content)
        made = source_of(key_file).make()
        sealed = made.seal(SECRET, BINDING)
        assert source_of(key_file).needed().open(sealed, BINDING).reveal() == SECRET.reveal()

    def test_making_it_where_there_is_no_folder(self, tmp_path: Path) -> None:
        path = tmp_path / "missing" / "key"
        with pytest.raises(RegistryKeyError) as refused:
            source_of(path).make()
        assert str(refused.value) == f"registry_key_file {path} cannot be made: No such file or directory."

    def test_making_it_in_a_folder_that_is_not_ours(self, tmp_path: Path) -> None:
        folder = tmp_path / "closed"
        folder.mkdir(mode=0o500)

        def make() -> str:
            with pytest.raises(RegistryKeyError) as refused:
                source_of(folder / "key").make()
            return str(refused.value)

        said = without_privileges(make)
        assert said == f"registry_key_file {folder / 'key'} cannot be made: Permission denied."
        assert list(folder.iterdir()) == []

    def test_one_that_cannot_be_read(self, key_file: Path) -> None:
        key_file.write_text(KEY)
        key_file.chmod(0)

        def read() -> str:
            with pytest.raises(RegistryKeyError) as refused:
                source_of(key_file).ring()
            return str(refused.value)

        assert without_privileges(read) == f"registry_key_file {key_file} cannot be read: Permission denied."

    def test_one_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        path = tmp_path / "file" / "key"
        with pytest.raises(RegistryKeyError) as refused:
            source_of(path).ring()
        assert str(refused.value) == f"registry_key_file {path} cannot be read: Not a directory."
