from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest

from cache.embedders.source import DEFAULT_PACKAGE, DEFAULT_SHA256, ExportError, find_source, weights_sha256


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def test_one_file_of_weights_has_its_own_hash(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "pytorch_model.bin").write_bytes(b"the same, elsewhere")

    assert weights_sha256(tmp_path) == digest(b"weights")


def test_several_files_of_weights_have_the_hash_of_their_hashes(tmp_path: Path) -> None:
    (tmp_path / "model-2.safetensors").write_bytes(b"two")
    (tmp_path / "model-1.safetensors").write_bytes(b"one")

    assert weights_sha256(tmp_path) == digest((digest(b"one") + digest(b"two")).encode())


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no weights"):
        find_source(str(tmp_path))


def test_a_model_on_disk_is_called_by_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "our-encoder"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")

    source = find_source(str(folder))

    assert (source.name, source.revision) == ("our-encoder", digest(b"weights"))


def test_a_name_that_would_blur_identities_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "our@encoder"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")

    with pytest.raises(ExportError, match="@"):
        find_source(str(folder))


def test_default_weights_that_are_not_the_genuine_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = ModuleType(DEFAULT_PACKAGE)
    package.MODEL_DIR = tmp_path  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, DEFAULT_PACKAGE, package)
    (tmp_path / "model.safetensors").write_bytes(b"weights")

    with pytest.raises(ExportError, match=DEFAULT_SHA256):
        find_source("")
