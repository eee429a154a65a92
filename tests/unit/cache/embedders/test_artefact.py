from __future__ import annotations

from pathlib import Path

import pytest

from cache.embedders.artefact import (
    MODEL,
    TOKENIZER,
    ArtefactError,
    check_files,
    default_root,
    find_artefact,
    read_meta,
)
from tests.support.artefact import write_artefact


def test_an_identity_names_model_revision_and_quantisation(tmp_path: Path) -> None:
    meta = write_artefact(tmp_path)

    assert meta.identity == "tiny@abababababab+q"


def test_what_was_written_is_read(tmp_path: Path) -> None:
    meta = write_artefact(tmp_path)

    assert read_meta(tmp_path) == meta
    check_files(tmp_path, meta)


def test_another_layout_is_refused(tmp_path: Path) -> None:
    write_artefact(tmp_path, form=99)

    with pytest.raises(ArtefactError, match="layout 99"):
        read_meta(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"[", b"\xff"])
def test_a_description_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes) -> None:
    write_artefact(tmp_path)
    (tmp_path / "meta.json").write_bytes(content)

    with pytest.raises(ArtefactError, match=r"meta\.json"):
        read_meta(tmp_path)


@pytest.mark.parametrize("name", [MODEL, TOKENIZER])
def test_a_file_that_was_changed_is_refused(tmp_path: Path, name: str) -> None:
    meta = write_artefact(tmp_path)
    (tmp_path / name).write_bytes(b"half of i")

    with pytest.raises(ArtefactError, match=name):
        check_files(tmp_path, meta)


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    meta = write_artefact(tmp_path)
    (tmp_path / MODEL).unlink()

    with pytest.raises(ArtefactError):
        check_files(tmp_path, meta)


def test_a_model_is_found_by_its_name(tmp_path: Path) -> None:
    meta = write_artefact(tmp_path / "tiny@abababababab+q")
    write_artefact(tmp_path / "tiny-but-larger@abababababab+q", name="tiny-but-larger")

    assert find_artefact("tiny", tmp_path) == tmp_path / meta.identity


def test_a_model_is_found_by_its_path(tmp_path: Path) -> None:
    write_artefact(tmp_path / "here")

    assert find_artefact(str(tmp_path / "here"), tmp_path / "nowhere") == tmp_path / "here"


def test_an_unknown_name_is_told_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="make setup-semantic"):
        find_artefact("tiny", tmp_path / "nowhere")


def test_of_two_revisions_none_is_guessed(tmp_path: Path) -> None:
    write_artefact(tmp_path / "tiny@1+q")
    write_artefact(tmp_path / "tiny@2+q")

    with pytest.raises(ArtefactError, match="2 revisions"):
        find_artefact("tiny", tmp_path)


def test_a_half_written_folder_is_not_found(tmp_path: Path) -> None:
    write_artefact(tmp_path / ".partial-x")

    with pytest.raises(ArtefactError):
        find_artefact("tiny", tmp_path)


def test_artefacts_lie_in_the_users_cache() -> None:
    assert default_root({"XDG_CACHE_HOME": "/caches"}) == Path("/caches/tierway/embedders")
    assert default_root({"XDG_CACHE_HOME": "relative"}) == Path.home() / ".cache/tierway/embedders"
    assert default_root({}) == Path.home() / ".cache/tierway/embedders"
