"""Whose requests two settings files are compared by: one key for all that say the same."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.settings import Settings
from policies.effective import NO_TEAM
from policies.settings import KeySettings, LevelSettings

STORED = "*"
"""The name that stands for a team's keys that do not stand in the file, and for teams that do not."""

_SILENT = LevelSettings()


class Subject(msgspec.Struct, frozen=True):
    """Keys of one team that say the same in the old file and the same in the new one.

    Attributes:
        paths: of the keys, `team/key`; the first stands for all.
    """

    paths: tuple[str, ...]


def subjects(old: Settings, new: Settings) -> list[Subject]:
    """Return the keys that stand in both files, alike ones together, and each team's stored keys."""
    alike: dict[tuple[object, ...], list[str]] = {}
    for team, name, before, after in _pairs(old, new):
        alike.setdefault((team, _words(before), _words(after)), []).append(f"{team}/{name}")
    return [Subject(tuple(paths)) for paths in alike.values()]


def removed(old: Settings, new: Settings) -> Iterator[str]:
    """Yield the keys of the old file that do not stand in the new one."""
    for team, settings in old.organisation.teams.items():
        kept = {key.name for key in new.organisation.teams.get(team, NO_TEAM).keys}
        yield from (f"{team}/{key.name}" for key in settings.keys if key.name not in kept)


def _pairs(old: Settings, new: Settings) -> Iterator[tuple[str, str, LevelSettings, LevelSettings]]:
    yield STORED, STORED, _SILENT, _SILENT
    for team in {**old.organisation.teams, **new.organisation.teams}:
        yield team, STORED, _SILENT, _SILENT
        after = {key.name: key for key in new.organisation.teams.get(team, NO_TEAM).keys}
        for key in old.organisation.teams.get(team, NO_TEAM).keys:
            if key.name in after:
                yield team, key.name, key, after[key.name]


def _words(rules: LevelSettings | KeySettings) -> tuple[object, ...]:
    """Return what a key says, without its name and secret."""
    return tuple(getattr(rules, name) for name in LevelSettings.__struct_fields__)
