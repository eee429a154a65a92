"""A folder that looks like an embedding model's, without a model."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec

from cache.embedders.artefact import FORMAT, META, MODEL, TOKENIZER, Meta

REVISION = "ab" * 32


def write_artefact(folder: Path, *, name: str = "tiny", revision: str = REVISION, form: int = FORMAT) -> Meta:
    """Write the three files and return what the last of them says."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {MODEL: b"no model", TOKENIZER: b"no tokenizer"}
    for file_name, content in files.items():
        (folder / file_name).write_bytes(content)
    meta = Meta(
        format=form,
        name=name,
        revision=revision,
        quantisation="q",
        dimension=4,
        max_tokens=8,
        is_multilingual=False,
        prompt="",
        sha256={file_name: sha256(content).hexdigest() for file_name, content in files.items()},
        cosine_mean=1.0,
        cosine_worst=1.0,
        probes=1,
        made_with={},
    )
    (folder / META).write_bytes(msgspec.json.encode(meta))
    return meta
