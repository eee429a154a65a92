"""The folder an embedding model is served from: what is in it, where it lies, and whether it is whole.

- `model.onnx`: inputs input_ids and attention_mask, (n, length) int64; output vector, (n, d) float32, rows unit-norm
- `tokenizer.json`: as the `tokenizers` library writes it
- `meta.json`: `Meta`
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

import msgspec

from gateway.domain.embedding import EmbedderUnavailableError

MODEL: Final = "model.onnx"
TOKENIZER: Final = "tokenizer.json"
META: Final = "meta.json"

FORMAT: Final = 1
"""The version of this layout; another one is not served."""

DEFAULT_NAME: Final = "all-MiniLM-L6-v2"

_REVISION_CHARACTERS: Final = 12


class ArtefactError(EmbedderUnavailableError):
    """There is no artefact, or it is not whole; the message says what to run."""


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What an artefact is and how it was found to be.

    Attributes:
        name: of the model, without the folder or organisation it came from.
        revision: SHA-256 of the weights it was made of, hexadecimal.
        quantisation: how the weights are held; see `cache.embedders.export`.
        dimension: length of a vector.
        max_tokens: the longest text it reads, its two special tokens included.
        is_multilingual: whether it is meant for other languages than English.
        prompt: text put before each text, as the model wants it.
        sha256: of the other files, by name.
        cosine_mean, cosine_worst: against the unquantised model, over `probes` texts; 1 is equal.
        made_with: versions of the libraries that made it.
    """

    format: int
    name: str
    revision: str
    quantisation: str
    dimension: Annotated[int, msgspec.Meta(gt=0)]
    max_tokens: Annotated[int, msgspec.Meta(gt=2)]
    is_multilingual: bool
    prompt: str
    sha256: Mapping[str, str]
    cosine_mean: float
    cosine_worst: float
    probes: int
    made_with: Mapping[str, str]

    @property
    def identity(self) -> str:
        """Return what tells it from every embedder whose vectors do not compare with its own; fit for a folder."""
        return identity_of(self.name, self.revision, self.quantisation)


def identity_of(name: str, revision: str, quantisation: str) -> str:
    """Return the identity of a model; see `Meta`."""
    return f"{name}@{revision[:_REVISION_CHARACTERS]}+{quantisation}"


def default_root(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of this user that artefacts lie in, one folder an identity."""
    base = environment.get("XDG_CACHE_HOME", "")
    # The specification has relative paths ignored (XDG Base Directory 0.8).
    folder = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return folder / "tierway" / "embedders"


def find_artefact(name: str, root: Path) -> Path:
    """Return the folder of a model.

    Args:
        name: a path of a folder that holds an artefact, or the name of a model that lies below the root.
        root: see `default_root`.

    Raises:
        ArtefactError: there is none, or several revisions of the name.
    """
    if (Path(name) / META).is_file():
        return Path(name)
    found = sorted(entry.parent for entry in root.glob(f"*/{META}") if entry.parent.name.startswith(f"{name}@"))
    if len(found) > 1:
        raise ArtefactError(f"{root} has {len(found)} revisions of {name}: name one by its path")
    if not found:
        raise ArtefactError(f"no embedding model {name} in {root}: `make setup-semantic` writes it")
    return found[0]


def read_meta(folder: Path) -> Meta:
    """Return what an artefact says of itself.

    Raises:
        ArtefactError: it cannot be read, or is of another version of the layout.
    """
    try:
        meta = msgspec.json.decode((folder / META).read_bytes(), type=Meta)
    except (OSError, msgspec.DecodeError) as error:
        raise ArtefactError(f"{folder / META}: {error}") from error
    if meta.format != FORMAT:
        raise ArtefactError(f"{folder} has layout {meta.format}, this release reads {FORMAT}: export it again")
    return meta


def check_files(folder: Path, meta: Meta) -> None:
    """Compare the files with what the artefact says of them; reads them whole, about 20 ms for 25 MB.

    Raises:
        ArtefactError: one is missing or another.
    """
    for name in (MODEL, TOKENIZER):
        if file_sha256(folder / name) != meta.sha256.get(name):
            raise ArtefactError(f"{folder / name} is not the file that {META} describes: export it again")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal.

    Raises:
        ArtefactError: it cannot be read.
    """
    digest = sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise ArtefactError(str(error)) from error
    return digest.hexdigest()
