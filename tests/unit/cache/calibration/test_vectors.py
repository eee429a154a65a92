from __future__ import annotations

import json

import numpy as np
import pytest

from cache.calibration.vectors import BATCH, RemoteVectors, asking
from cache.embedders.settings import RemoteEmbedder
from tests.support.embedding import FakeEmbedder

SETTINGS = RemoteEmbedder(model="m", dimension=8, max_characters=20)


class Server:
    """Answers requests for embeddings.

    Attributes:
        asked: the texts of each request.
    """

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def __call__(self, body: bytes) -> bytes:
        texts = json.loads(body)["input"]
        self.asked.append(texts)
        rows = [FakeEmbedder(8).vector(text).tolist() for text in texts]
        return json.dumps({"data": [{"index": at, "embedding": row} for at, row in enumerate(rows)]}).encode()


def test_many_texts_are_asked_for_in_batches_and_keep_their_order() -> None:
    server = Server()
    texts = [f"text {number}" for number in range(BATCH + 3)]

    found = RemoteVectors(SETTINGS, server, "there").of(texts)

    assert [len(batch) for batch in server.asked] == [BATCH, 3]
    assert np.allclose(found[-1], FakeEmbedder(8).vector(texts[-1]), atol=1e-6)


def test_a_text_that_is_too_long_resembles_nothing_and_is_not_sent() -> None:
    server = Server()

    found = RemoteVectors(SETTINGS, server, "there").of(["short", "x" * 21])

    assert server.asked == [["short"]]
    assert not found[1].any()


def test_the_identity_is_the_one_that_serves() -> None:
    assert RemoteVectors(SETTINGS, Server(), "there").identity == "there/m@1+8"


def test_an_address_of_another_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="no http"):
        asking("file:///etc", "")
