"""Settings files in several pieces: what a file includes, where that may lie, and when one of them was edited."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Decode = Callable[[bytes], Any]
"""Reads the text of a file into plain mappings, lists and values."""

_Stamp = tuple[int, int, int] | None


class InclusionError(Exception):
    """A file cannot be included; the message names the place and the file."""


class Inclusion:
    """Puts included files in their places: `organisation` and each of `organisation.teams` may be a path.

    A path is relative to the file that names it. It may not lead out of the folder of the settings file, so that a
    folder (a volume, a repository) holds all that is served.

    Args:
        path: the settings file.
        decode: reads a file; what it raises passes through.

    Attributes:
        contents: the included files that were read, with their bytes, in the order of reading.
        files: the settings file and all that it includes, those that could not be read among them.
    """

    def __init__(self, path: Path, decode: Decode) -> None:
        self._path = path
        self._root = _plain(path.parent)
        self._decode = decode
        self.contents: dict[Path, bytes] = {}
        self.files = [path]

    def complete(self, tree: dict[str, Any]) -> dict[str, Any]:
        """Return the tree with every included file in its place.

        Raises:
            InclusionError: a file is missing, lies outside, includes itself or holds no mapping.
        """
        organisation, chain = self._included(tree.get("organisation"), "organisation", (self._path,))
        teams = organisation.get("teams") if isinstance(organisation, dict) else None
        if isinstance(teams, dict):
            found = {name: self._included(team, f"organisation.teams.{name}", chain)[0] for name, team in teams.items()}
            organisation = {**organisation, "teams": found}
        return {**tree, "organisation": organisation} if "organisation" in tree else tree

    def _included(self, value: Any, where: str, chain: tuple[Path, ...]) -> tuple[Any, tuple[Path, ...]]:
        """Return what stands in a place, and the files that lead there."""
        if not isinstance(value, str):
            return value, chain
        path = chain[-1].parent / value
        shown = f"{where}: '{value}'"
        if not _plain(path).is_relative_to(self._root):
            raise InclusionError(f"{shown} lies outside of the folder of the settings file")
        if _plain(path) in map(_plain, chain):
            names = " > ".join(one.name for one in (*chain, path))
            raise InclusionError(f"{shown} includes itself ({names})")
        self.files.append(path)
        try:
            raw = path.read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no path"
            raise InclusionError(f"{shown} cannot be read ({reason})") from error
        self.contents[path] = raw
        tree = self._decode(raw)
        if not isinstance(tree, dict):
            raise InclusionError(f"{shown} must hold the mapping that stands for '{where}'")
        return tree, (*chain, path)


class FileWatch:
    """Tells when one of several files may have changed. A symlink that is swapped (Kubernetes) counts.

    Args:
        files: names the files to look at; asked again after each change, which may name others. It reads files, as do
            the methods: not on a loop.
    """

    def __init__(self, files: Callable[[], Sequence[Path]]) -> None:
        self._files = files
        self._seen = {path: _stamp(path) for path in files()}

    def has_changed(self) -> bool:
        """Tell whether a file changed, came or went since this was asked last."""
        if all(_stamp(path) == stamp for path, stamp in self._seen.items()):
            return False
        # Stamped before they are read again: an edit in between is seen with the next look.
        before = {path: _stamp(path) for path in self._seen}
        self._seen = {path: before[path] if path in before else _stamp(path) for path in self._files()}
        return True


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _plain(path: Path) -> Path:
    """Return an absolute path without `..`; links stay, as mounted folders are full of them."""
    return Path(os.path.normpath(path.absolute()))
