# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is loaded is what was asked for, compared with a small model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Purpose, Wanted
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry

from .backends import BACKENDS, Backend
from .samples import declare, entry

NAMES = ("a", "b", "c", "d", "A", "a_")
PURPOSES = (Purpose("alerts"), Purpose("alerts", "acme"), Purpose("alerts", "globex"), Purpose("approvals", "acme"))


@dataclass(frozen=True)
class Model:
    """A registry in the simplest of words."""

    enabled: dict[str, bool]
    default: str | None
    bindings: dict[Purpose, str]

    def loaded(self, wanted: Wanted) -> set[str]:
        if wanted.names is None:
            return set(self.enabled)
        asked = set(wanted.names) | set(self.asked_bindings(wanted).values()) | {self.default}
        return {name for name in self.enabled if name in asked}

    def asked_bindings(self, wanted: Wanted) -> dict[Purpose, str]:
        return {
            each: name for each, name in self.bindings.items() if wanted.purposes is None or each in wanted.purposes
        }

    def told_bindings(self, wanted: Wanted) -> dict[Purpose, str]:
        loaded = self.loaded(wanted)
        return {each: name for each, name in self.bindings.items() if name in loaded}

    def others_enabled(self, wanted: Wanted) -> bool:
        loaded = self.loaded(wanted)
        return any(enabled for name, enabled in self.enabled.items() if name not in loaded)


@st.composite
def models(draw: st.DrawFn) -> Model:
    enabled = draw(st.dictionaries(st.sampled_from(NAMES), st.booleans()))
    usable = [name for name, is_enabled in enabled.items() if is_enabled]
    if not usable:
        return Model(enabled, None, {})
    bindings = draw(st.dictionaries(st.sampled_from(PURPOSES), st.sampled_from(usable)))
    return Model(enabled, draw(st.none() | st.sampled_from(usable)), bindings)


WISHES = st.builds(
    Wanted,
    st.none() | st.frozensets(st.sampled_from((*NAMES, "unknown"))),
    st.none() | st.frozensets(st.sampled_from((*PURPOSES, Purpose("unknown")))),
)


def store(registry: Registry, model: Model) -> None:
    entries = [entry(name, f"secret of {name}", enabled=enabled) for name, enabled in model.enabled.items()]
    declare(registry, *entries, default=model.default, bind=model.bindings)


@pytest.mark.parametrize("kind", BACKENDS.values(), ids=BACKENDS)
@settings(max_examples=settings().max_examples * 20 // 100, deadline=None)
@given(models(), st.lists(WISHES, min_size=1, max_size=15))
def test_any_registry_and_any_wish(kind: type[Backend], model: Model, wishes: list[Wanted]) -> None:
    with TemporaryDirectory() as folder:
        registry = kind(Path(folder)).open()
        store(registry, model)
        with registry.reading() as reader:
            for wanted in wishes:
                state = reader.load(wanted)
                assert set(state.connectors) == model.loaded(wanted)
                assert state.default == model.default
                assert state.bindings == model.told_bindings(wanted)
                assert state.others_enabled == model.others_enabled(wanted)
                for name, connector in state.connectors.items():
                    assert (connector.name, connector.enabled) == (name, model.enabled[name])
                    tokens = map(str, connector.secrets.values())
                    assert [reader.open_secret(token).reveal() for token in tokens] == [f"secret of {name}"]
