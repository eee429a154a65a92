"""Write the embedding model to disk once: `python -m cache.embedders.export [OUT] [--model NAME_OR_PATH]`.

sentence-transformers loads the model, torch's dynamo exporter writes it as ONNX with pooling and normalisation inside,
onnxruntime holds its weights in 8 bits, and the result is compared with the original before it is moved to its place.
Needs the `export` extra; serving needs none of it.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cache.embedders.artefact import (
    DEFAULT_NAME,
    FORMAT,
    META,
    MODEL,
    TOKENIZER,
    ArtefactError,
    Meta,
    check_files,
    default_root,
    file_sha256,
    identity_of,
    read_meta,
)
from cache.embedders.encoder import Encoder
from cache.embedders.probes import PROBES
from cache.embedders.source import ExportError, Source, find_source, optional, say

QUANTISATION: Final = "int8-channel-7bit"
"""Weights in 7 of 8 bits with a scale for each output channel, activations scaled at run time.

One scale a matrix moves vectors to a cosine of 0.96 in the mean, one a channel to 0.993 (guides/semantic_cache.md,
section 4). The eighth bit is left free because processors without VNNI add products of 8-bit weights in 16 bits and
clip the sum (onnxruntime's page on quantisation, 2026-11): the same artefact would then give other vectors on other
machines. It costs 0.001 of the mean cosine; average precision on 3,950 pairs of the public data is 0.803 with 7 bits,
0.802 with 8 and 0.801 unquantised.
"""

LEAST_MEAN: Final = 0.985
LEAST_WORST: Final = 0.93
"""Cosines against the unquantised model below which an artefact is refused. The default model has 0.993 and 0.957 (for
the shortest probe); with one scale a matrix it would have 0.96 and 0.76."""

_LIBRARIES: Final = ("torch", "onnx", "onnxscript", "onnxruntime", "sentence-transformers", "transformers")
_OPSET: Final = 18
_LONGEST: Final = 512


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parse(arguments)
    try:
        export(options.out, options.model, is_multilingual=options.multilingual, is_forced=options.force)
    except (ExportError, ArtefactError) as error:
        sys.stderr.write(f"tierway: {error}\n")
        return 1
    return 0


def export(out: Path | None, model: str, *, is_multilingual: bool, is_forced: bool) -> Path:
    """Write an artefact, unless the same one is there already.

    Args:
        out: the folder to write; None for the user's own, see `default_root`.
        model: a name or a path; empty for the default model.
        is_multilingual: see `Meta`.
        is_forced: whether to write it again.

    Returns:
        The folder.

    Raises:
        ExportError: the model cannot be had, its weights are others than expected, or what was made of it is bad.
    """
    began = time.monotonic()
    source = find_source(model)
    identity = identity_of(source.name, source.revision, QUANTISATION)
    folder = out or default_root() / identity
    if not is_forced and is_written(folder, identity):
        say(f"{identity} is in {folder} already")
        return folder
    with _scratch_beside(folder) as scratch:
        meta = _write(source, scratch, is_multilingual=is_multilingual)
        _check_cosines(meta)
        _move(scratch, folder)
    size_mb = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    say(f"{identity}, {size_mb:.0f} MB, is in {folder} after {time.monotonic() - began:.0f} s")
    return folder


def is_written(folder: Path, identity: str) -> bool:
    """Tell whether a folder holds this artefact, whole."""
    try:
        meta = read_meta(folder)
        check_files(folder, meta)
    except ArtefactError:
        return False
    return meta.identity == identity


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cache.embedders.export", description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, help=f"folder to write (default: {default_root()}/<identity>)")
    parser.add_argument("--model", default="", help=f"name or path of a sentence-transformers model ({DEFAULT_NAME})")
    parser.add_argument("--multilingual", action="store_true", help="the model is meant for more than English")
    parser.add_argument("--force", action="store_true", help="write it even if the same one is there")
    return parser.parse_args(arguments)


def _write(source: Source, folder: Path, *, is_multilingual: bool) -> Meta:
    """Write the three files; what `meta.json` says of cosines is measured on them."""
    say("loading it with sentence-transformers")
    optional("transformers").utils.logging.disable_progress_bar()
    model = optional("sentence_transformers").SentenceTransformer(str(source.folder), device="cpu").eval()
    prompt = (model.prompts or {}).get(model.default_prompt_name or "", "") or ""
    (folder / TOKENIZER).write_text(model.tokenizer.backend_tokenizer.to_str(), encoding="utf-8")
    say("writing it as ONNX")
    original = folder / "original.onnx"
    _to_onnx(model, original)
    say("quantising it")
    _quantise(original, folder / MODEL)
    original.unlink()
    meta = Meta(
        format=FORMAT,
        name=source.name,
        revision=source.revision,
        quantisation=QUANTISATION,
        dimension=int(model.encode("").shape[0]),
        max_tokens=min(int(model.max_seq_length or _LONGEST), _LONGEST),
        is_multilingual=is_multilingual,
        prompt=prompt,
        sha256={name: file_sha256(folder / name) for name in (MODEL, TOKENIZER)},
        cosine_mean=0.0,
        cosine_worst=0.0,
        probes=len(PROBES),
        made_with={name: version(name) for name in _LIBRARIES},
    )
    _put_meta(folder, meta)
    say(f"comparing it with the original over {len(PROBES)} texts")
    cosines = _cosines(model, folder)
    meta = msgspec.structs.replace(meta, cosine_mean=float(cosines.mean()), cosine_worst=float(cosines.min()))
    _put_meta(folder, meta)
    return meta


def _to_onnx(model: Any, path: Path) -> None:
    torch = optional("torch")
    optional("onnxscript")

    class Whole(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]  # torch may be absent here
        """The model from token ids to unit-norm vectors."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            """Return the vectors."""
            return self.model({"input_ids": input_ids, "attention_mask": attention_mask})["sentence_embedding"]

    # Two rows of several tokens: the exporter takes an extent of one for a constant.
    ids = torch.full((2, 8), 2, dtype=torch.int64)
    extents = {0: torch.export.Dim("batch", max=256), 1: torch.export.Dim("length", max=_LONGEST)}
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            Whole().eval(),
            (ids, torch.ones_like(ids)),
            dynamo=True,
            verbose=False,
            opset_version=_OPSET,
            input_names=["input_ids", "attention_mask"],
            output_names=["vector"],
            dynamic_shapes={"input_ids": extents, "attention_mask": extents},
        )
        program.save(str(path), external_data=False)


def _quantise(original: Path, path: Path) -> None:
    quantisation = optional("onnxruntime.quantization")
    with _quiet():
        quantisation.quantize_dynamic(
            str(original),
            str(path),
            per_channel=True,
            reduce_range=True,
            weight_type=quantisation.QuantType.QInt8,
        )


def _cosines(model: Any, folder: Path) -> NDArray[np.float32]:
    """Return the cosine of each probe's vector, as it will be served, to the original's."""
    encoder = Encoder(folder)
    expected = model.encode(list(PROBES), normalize_embeddings=True, batch_size=8, show_progress_bar=False)
    made = np.stack([encoder.encode(probe) for probe in PROBES])
    cosines: NDArray[np.float32] = np.einsum("nd,nd->n", made, expected)
    return cosines


def _check_cosines(meta: Meta) -> None:
    found = f"cosines of {meta.cosine_mean:.4f} in the mean and {meta.cosine_worst:.4f} at worst"
    if not (meta.cosine_mean >= LEAST_MEAN and meta.cosine_worst >= LEAST_WORST):
        raise ExportError(f"refused: {found} to the original, at least {LEAST_MEAN} and {LEAST_WORST} are needed")
    say(found)


def _put_meta(folder: Path, meta: Meta) -> None:
    (folder / META).write_bytes(msgspec.json.format(msgspec.json.encode(meta), indent=2) + b"\n")


@contextmanager
def _scratch_beside(folder: Path) -> Iterator[Path]:
    """Give a new folder on the same disk, which is removed at the end if it is still there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    try:
        scratch.chmod(0o755)  # mkdtemp's are closed to the user that serves
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _move(scratch: Path, folder: Path) -> None:
    """Put the scratch folder in the place of the other; who reads meanwhile finds the old one, none, or the new one."""
    if folder.exists():
        if any(folder.iterdir()) and not (folder / META).is_file():
            raise ExportError(f"{folder} holds something else")
        old = Path(tempfile.mkdtemp(prefix=".old-", dir=folder.parent))
        folder.rename(old / folder.name)
        scratch.rename(folder)
        shutil.rmtree(old)
    else:
        scratch.rename(folder)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' notes on their own graphs off the terminal; errors are raised all the same."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(level)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main())
