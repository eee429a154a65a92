from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import msgspec
import pytest

from cache.embedders import export as exporting
from cache.embedders.artefact import MODEL, read_meta
from cache.embedders.export import LEAST_MEAN, LEAST_WORST, is_written, main
from cache.embedders.probes import PROBES
from cache.embedders.source import DEFAULT_PACKAGE, DEFAULT_SHA256, ExportError
from tests.support.artefact import write_artefact

HAS_EXPORT_EXTRA = all(importlib.util.find_spec(name) for name in ("torch", "onnxscript", DEFAULT_PACKAGE))


def test_without_the_extra_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, DEFAULT_PACKAGE, None)

    code = main([str(tmp_path / "out")])

    assert code == 1
    assert "make setup-semantic" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_artefact_is_recognised_while_it_is_whole(tmp_path: Path) -> None:
    identity = write_artefact(tmp_path).identity

    assert is_written(tmp_path, identity)
    assert not is_written(tmp_path, "another")
    (tmp_path / MODEL).write_bytes(b"half")
    assert not is_written(tmp_path, identity)


def test_an_artefact_near_its_original_passes(tmp_path: Path) -> None:
    meta = msgspec.structs.replace(write_artefact(tmp_path), cosine_mean=LEAST_MEAN, cosine_worst=LEAST_WORST)

    exporting._check_cosines(meta)


@pytest.mark.parametrize(
    ("mean", "worst"),
    [(LEAST_MEAN - 0.001, 1.0), (1.0, LEAST_WORST - 0.001), (float("nan"), float("nan"))],
)
def test_an_artefact_far_from_its_original_is_refused(tmp_path: Path, mean: float, worst: float) -> None:
    meta = msgspec.structs.replace(write_artefact(tmp_path), cosine_mean=mean, cosine_worst=worst)

    with pytest.raises(ExportError, match="refused"):
        exporting._check_cosines(meta)


def test_an_old_artefact_is_replaced_and_nothing_else_left(tmp_path: Path) -> None:
    write_artefact(tmp_path / "out", name="old")

    with exporting._scratch_beside(tmp_path / "out") as scratch:
        write_artefact(scratch, name="new")
        exporting._move(scratch, tmp_path / "out")

    assert read_meta(tmp_path / "out").name == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("three years")

    with (
        pytest.raises(ExportError, match="something else"),
        exporting._scratch_beside(tmp_path / "out") as scratch,
    ):
        exporting._move(scratch, tmp_path / "out")

    assert [path.name for path in tmp_path.rglob("*")] == ["out", "thesis.txt"]


def test_probes_are_different_texts_of_many_lengths() -> None:
    lengths = [len(probe.split()) for probe in PROBES]

    assert len(set(PROBES)) == len(PROBES)
    assert min(lengths) == 1
    assert max(lengths) > 50


@pytest.mark.skipif(
    not HAS_EXPORT_EXTRA,
    reason="torch and the weights are not installed; `make setup-semantic` runs this in a place of its own",
)
def test_the_default_model_is_written_and_verified(tmp_path: Path) -> None:
    code = main([str(tmp_path / "out")])

    meta = read_meta(tmp_path / "out")
    assert code == 0
    assert is_written(tmp_path / "out", meta.identity)
    assert (meta.dimension, meta.max_tokens, meta.revision) == (384, 256, DEFAULT_SHA256)
    assert meta.cosine_worst >= LEAST_WORST
