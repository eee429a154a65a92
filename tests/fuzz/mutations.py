"""What the fuzzer sends: sound requests, changed in every way a broken or hostile client might."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from typing import Any, Final

import msgspec
import zstandard

from tests.fuzz.bodies import BODY_LIMIT, Document, Rng, spoiled, written
from tests.fuzz.seeds import CHATS, KEY, SPOKEN, Kind, Seed, any_seed, as_request, http

PATH: Final = b"/v1/chat/completions"


class Case(msgspec.Struct, frozen=True):
    """One connection's worth of bytes, or one request on a kept connection.

    Attributes:
        name: of the mutation.
        data: what is sent.
        framed: whether the framing is sound: then there is exactly one answer of the gateway's own, and the
            connection goes on unless the answer says otherwise.
        answers: how many answers are waited for where it is not; 0 where the request may never be complete.
        kind: what it asks for, None where that is anyone's guess.
        statuses: those it may be answered with, empty for any below 500.
        is_answered_badly: whether the upstream is a hostile one.
        is_translated: whether the upstream speaks another shape.
    """

    name: str
    data: bytes
    framed: bool = True
    answers: int = 1
    kind: Kind | None = None
    statuses: tuple[int, ...] = ()
    is_answered_badly: bool = False
    is_translated: bool = False


def make_case(seed: int, index: int) -> Case:
    """Return the case of a number; the same for the same seed."""
    rng = random.Random(f"{seed}-{index}")  # noqa: S311  reproducible, not secret
    (mutate,) = rng.choices(list(_MUTATIONS), list(_MUTATIONS.values()))
    return mutate(rng)


def make_answered_case(seed: int, index: int) -> Case:
    """Return a sound request that a hostile upstream answers in the way of this number."""
    rng = random.Random(f"{seed}-{index}")  # noqa: S311  as above
    asked = any_seed(rng)
    while not (asked.kind in ("relayed", "stored", "input_tokens") or asked.upstream not in ("", "echo")):
        asked = any_seed(rng)
    changed = msgspec.structs.replace(asked, lines=(*asked.lines, b"idempotency-key: case-%d" % index))
    name = f"{asked.kind} by {asked.upstream or 'any'}"
    is_translated = asked.kind not in SPOKEN.get(asked.upstream, ())
    return Case(name, as_request(changed), kind=asked.kind, is_answered_badly=True, is_translated=is_translated)


def valid_request(rng: Rng) -> bytes:
    """Return a chat request that is answered with 200."""
    return http(_body(rng))


def _chat(rng: Rng) -> Document:
    return {"model": "echo-simple", **rng.choice(CHATS)}


def _body(rng: Rng) -> bytes:
    return json.dumps(_chat(rng)).encode()


def _seed_with_body(rng: Rng) -> Seed:
    while True:
        seed = any_seed(rng)
        if seed.document is not None:
            return seed


def _changed_body(rng: Rng) -> Case:
    seed = _seed_with_body(rng)
    assert seed.document is not None
    name, body = spoiled(rng, seed.document)
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        changed = _read(body)
        if not changed:
            break
        name, body = spoiled(rng, changed)
    return Case(name, as_request(seed, body), kind=seed.kind)


def _read(body: bytes) -> Any:
    try:
        document = json.loads(body)
        json.dumps(document)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _unchanged(rng: Rng) -> Case:
    seed = any_seed(rng)
    return Case("unchanged", as_request(seed), kind=seed.kind, statuses=seed.statuses)


# Changes of the head.

_NAMES: Final = (
    b"accept", b"accept-encoding", b"api-key", b"authorization", b"content-type", b"cookie", b"idempotency-key",
    b"openai-beta", b"openai-organization", b"origin", b"traceparent", b"user-agent", b"x-request-id",
    b"x-stainless-read-timeout", b"x-stainless-retry-count", b"x-tierway-explain", b"x-tierway-timeout-ms",
    b"x-forwarded-for", b"range", b"if-none-match", b"te", b"via", b"expect-ct", b"x-" + b"n" * 200,
)  # fmt: skip
_VALUES: Final = (
    b"", b"1", b"0", b"-1", b"nan", b"inf", b"1e999", b"full", b"text/plain", b"application/json; charset=utf-16",
    b"application/vnd.api+json", b"APPLICATION/JSON", b"multipart/form-data; boundary=x", b"*/*", b"gzip, br",
    b"Bearer", b"Bearer  ", b"bearer " + KEY, b"Bearer " + KEY + b" ", b"Basic dXNlcjpwYXNz", b"Bearer wrong-key",
    b"\xff\xfe\xfd", b"\xc3\xa9", b"a" * 5000, b"\t", b"a;b=c", b"req-1", b"req 1", b"../../x", b"%00", b"{}",
    b"9" * 400,
)  # fmt: skip


def _headers(rng: Rng) -> Case:
    lines = [rng.choice(_NAMES) + b": " + rng.choice(_VALUES) for _ in range(rng.randint(1, 6))]
    seed = any_seed(rng)
    names = {line.partition(b":")[0] for line in lines}
    changed = msgspec.structs.replace(
        seed, lines=(*(s for s in seed.lines if s.partition(b":")[0] not in names), *lines)
    )
    return Case("headers", as_request(changed), kind=seed.kind)


def _encoding(rng: Rng) -> Case:
    seed = _seed_with_body(rng)
    body = written(rng, seed.document or {})
    zipped = gzip.compress(body, 1)
    packed = zstandard.compress(body)
    bomb = gzip.compress(b" " * (BODY_LIMIT * 8), 9)
    name, sent = rng.choice(
        (
            (b"gzip", zipped), (b"x-gzip", zipped), (b"GZIP", zipped), (b"zstd", packed), (b"identity", body),
            (b"gzip", body), (b"zstd", body), (b"br", body), (b"deflate", body), (b"gzip, gzip",
            gzip.compress(zipped)),
            (b"gzip", zipped[: rng.randrange(len(zipped))]), (b"zstd", packed[: rng.randrange(len(packed))]),
            (b"gzip", zipped + zipped), (b"gzip", zipped + b"tail"), (b"zstd", packed + packed), (b"gzip", b""),
            (b"zstd", b""), (b"gzip", bomb), (b"zstd", zstandard.compress(b" " * (BODY_LIMIT * 8))),
            (b"gzip", bytes(byte ^ (rng.random() < 0.02) for byte in zipped)), (b"", body), (b"\xff", body),
        )
    )  # fmt: skip
    changed = msgspec.structs.replace(seed, lines=(*seed.lines, b"content-encoding: " + name))
    return Case("content-encoding", as_request(changed, sent), kind=seed.kind)


_METHODS: Final = (b"GET", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"PROPFIND", b"POST")
_PATHS: Final = (
    PATH + b"//", b"//" + PATH, b"/v1/chat/%63ompletions", PATH + b"%00", PATH + b"/x", b"/v1/models/%ff",
    b"/v1/modelsX", b"/v1/models/../chat/completions", b"/%2e%2e/v1", b"/", b"/v1", b"/admin/keys", b"/admin/keys/x",
    b"*", b"/v1/responses/", b"/v1/responses//", b"/v1/responsesX", b"/v1/responses/resp_1/cancel",
    b"/v1/responses/resp_1/input_items?limit=%ff", b"/v1/responses/%2e%2e/input_items", b"/v1/responses/a%2fcancel",
    b"/v1/responses/resp_1/cancel/x", b"/v1/responses/" + b"r" * 5000, b"/v1/responses/\xc3\xa9", b"/v1/messages/",
    b"/v1/messages/batches", b"/v1/messages/count_tokens/", b"/v1/files/../../admin", b"/v1/files/%2e%2e/x",
    b"/v1/files/a%5cb", b"/v1/files/a%00b", b"/v1/files/a%0d%0ax: y", b"/v1/files/a b", b"/v1/filesX", b"/files",
    b"/v1/files//etc/passwd", b"/v1/files?" + b"q" * 5000, b"/v1/files/\xff", b"/v1/files/%zz", b"/v1/files/a#b",
    b"/v1/conversations/conv_1/items", b"/v1/conversations/", b"/v1/fine_tuning/jobs?limit=-1&after=%00",
    b"/v1/models?limit=0", b"/v1/models?limit=%d9%a3", b"/v1/models?limit=" + b"9" * 5000, b"/v1/embeddings/x",
    b"/v1/v1/models", b"/V1/MODELS", b"/v1/models?&&=&", b"/readyz/", b"/livez?x", b"/schema/x", b"/metrics/",
)  # fmt: skip


def _address(rng: Rng) -> Case:
    seed = any_seed(rng)
    path = rng.choice(_PATHS) if rng.random() < 0.4 else _bent(rng, seed.path)
    method = rng.choice(_METHODS) if rng.random() < 0.5 else seed.method
    changed = msgspec.structs.replace(seed, path=path, method=method)
    return Case("address", as_request(changed), framed=all(0x21 <= byte <= 0x7E for byte in path))


def _bent(rng: Rng, path: bytes) -> bytes:
    """Change a path or its query a little; it stays within what a request line may hold."""
    at = rng.randrange(1, len(path) + 1)
    noise = (b"/", b"//", b"..", b"/../", b"%2f", b"%00", b"%ff", b"%", b"?", b"?a=b&a=c", b"&limit=0", b";x", b"\\",
             b"%c3%a9", b"@", b":80", b"x", b"?stream=true", b"?limit=-1", b"?after=%00", b"?order=up")  # fmt: skip
    return path[:at] + rng.choice(noise) + (path[at:] if rng.random() < 0.7 else b"")


# Broken framing: only on a connection of its own.


def _length(rng: Rng) -> Case:
    body = _body(rng)
    n = len(body)
    value, answers = rng.choice(
        ((b"%d" % (n - 1 - rng.randrange(n)), 1), (b"%d" % (n + rng.randint(1, 50)), 1), (b"-1", 1), (b"abc", 1),
         (b"1" * 30, 1), (b"%d, %d" % (n, n), 1), (b"+%d" % n, 1), (b"0x10", 1), (b"", 1), (b"0", 1),
         (b"%d\r\ncontent-length: %d" % (n, n + 1), 1), (b"%d\r\ntransfer-encoding: chunked" % n, 1),
         (b"%d" % (BODY_LIMIT + 1), 1))
    )  # fmt: skip
    return Case("content-length", http(body, b"content-length: " + value, length=False), framed=False, answers=answers)


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _chunked(rng: Rng) -> Case:
    body = _body(rng)
    cut = rng.randrange(1, len(body))
    good = _chunk(body[:cut]) + _chunk(body[cut:])
    sent = rng.choice(
        (good + b"0\r\n\r\n", good + b"0\r\nx-trailer: 1\r\n\r\n", good, good + b"0\r\n", b"0\r\n\r\n",
        b"zz\r\n" + good,
         b"-1\r\n" + good, b"ffffffffffffffffff\r\n" + body, b"fffffff0\r\n" + body, good.replace(b"\r\n", b"\n"),
         b"%x;ext=1\r\n%b\r\n0\r\n\r\n" % (len(body), body), b"%x\r\n%b0\r\n\r\n" % (len(body), body),
         good[:-3] + b"0\r\n\r\n",
         b"%x \r\n%b\r\n0\r\n\r\n" % (len(body), body), _chunk(b"x" * (BODY_LIMIT + 1)) + b"0\r\n\r\n",
         b"".join(_chunk(body[i : i + 1]) for i in range(len(body))) + b"0\r\n\r\n")
    )  # fmt: skip
    coding = rng.choice(
        (b"chunked", b"chunked", b"Chunked", b"gzip, chunked", b"chunked, gzip", b"xchunked", b"identity")
    )
    return Case("chunked", http(sent, b"transfer-encoding: " + coding, length=False), framed=False)


def _request_line(rng: Rng) -> Case:
    data = valid_request(rng)
    old, new = rng.choice(
        ((b"HTTP/1.1", b"HTTP/1.0"), (b"HTTP/1.1", b"HTTP/2.0"), (b"HTTP/1.1", b"HTTP/9"), (b" HTTP/1.1", b""),
         (b"POST", b"P\0ST"), (b"POST", b"post"), (b"POST ", b"POST"), (PATH, b""), (PATH, b"http://a.test" + PATH),
         (PATH, PATH + b"\xff"), (PATH, b"/admin/keys/\xc3\xa9"), (PATH, b"/" + b"p" * 70_000),
         (b"\r\nhost", b"\r\n host"), (b"host: ", b"host"),
         (b"\r\n\r\n", b"\n\n"), (b"content-type: ", b"content type: "), (b"fuzz.test", b"a\0b"),
         (b"fuzz.test", b"a\rb"),
         (b"host: fuzz.test", b"x: " + b"h" * 70_000),
         (b"host:", b"connection: upgrade\r\nupgrade: websocket\r\nhost:"),
         (b"host:", b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhost:"),
         (b"host:", b"expect: 100-continue\r\nhost:"), (b"host:", b"connection: close\r\nhost:"),
         (b"POST", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), (b"POST", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"))
    )  # fmt: skip
    return Case("request-line", data.replace(old, new, 1), framed=False)


def _any_bytes(rng: Rng) -> Case:
    """Flip, cut or insert bytes anywhere, the head included: how many requests that makes is anyone's guess."""
    data = bytearray(as_request(any_seed(rng)))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        match rng.randrange(3):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : at + rng.randint(1, 8)]
            case _:
                data[at:at] = rng.randbytes(rng.randint(1, 8))
    return Case("any-bytes", bytes(data), framed=False)


def _cut_off(rng: Rng) -> Case:
    data = as_request(any_seed(rng))
    return Case("cut-off", data[: rng.randrange(1, len(data))], framed=False, answers=0)


def _pipelined(rng: Rng) -> Case:
    """Several sound requests at once: each gets its answer, in order."""
    count = rng.randint(2, 6)
    requests = [as_request(any_seed(rng)) for _ in range(count)]
    return Case("pipelined", b"".join(requests), answers=count)


_MUTATIONS: Final[dict[Callable[[Rng], Case], float]] = {
    _changed_body: 66,
    _unchanged: 4,
    _headers: 8,
    _encoding: 5,
    _address: 4,
    _length: 3,
    _chunked: 3,
    _request_line: 2,
    _any_bytes: 2,
    _cut_off: 1.5,
    _pipelined: 1.5,
}
"""Each mutation with its share in percent."""
