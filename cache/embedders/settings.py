"""What the settings say about an embedder."""

from __future__ import annotations

from typing import Annotated

import msgspec

from cache.embedders.artefact import DEFAULT_NAME

Positive = Annotated[int, msgspec.Meta(ge=1)]


class LocalEmbedder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="local"):
    """A model in this process."""

    model: str = DEFAULT_NAME
    """A name below `folder`, or the path of a folder that holds an artefact."""
    folder: str = ""
    """Where artefacts lie; empty for `$XDG_CACHE_HOME/tierway/embedders`, or the same below `~/.cache`."""
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Texts that are embedded at the same time, each on a thread. One embeds about 600 questions a second."""
    max_waiting: Positive = 256
    """Texts that may wait for a thread: about half a second's work of one. Beyond it, late at once."""
    budget_ms: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    """Milliseconds a call waits for its vectors: about ten times what a question takes, so that a few may stand before
    it, and little beside what a model takes to answer."""
    recent: Annotated[int, msgspec.Meta(ge=0)] = 1024
    """Vectors that are remembered, of texts that come twice; about 2 MB."""


class RemoteEmbedder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="remote"):
    """A server with an OpenAI-compatible `/embeddings`."""

    model: str
    """The model's name there."""
    dimension: Positive
    """Length of its vectors; answers of another length are refused."""
    asks_dimension: bool = False
    """Whether to send `dimensions`, which models that cannot shorten their vectors refuse."""
    revision: str = "1"
    """Part of the identity: change it when the server changes the model behind the name."""
    multilingual: bool = False
    """Whether the model is meant for other languages than English."""
    max_characters: Positive = 4096
    """Longest text that is sent. Servers cut longer ones silently; this is below 1,024 tokens for most languages."""
    max_in_flight: Positive = 16
    """Calls at the same time; the next ones wait."""
    max_waiting: Positive = 256
    """Calls that may wait. Beyond it, late at once."""
    budget_ms: Annotated[float, msgspec.Meta(gt=0)] = 200.0
    """Milliseconds a call waits for its vectors: a round trip and the server's own queue."""
    recent: Annotated[int, msgspec.Meta(ge=0)] = 1024
    """Vectors that are remembered, of texts that come twice."""
