"""What the fuzzer sends: valid chat requests, changed in every way a broken or hostile client might."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Callable
from typing import Any, Final

import msgspec
import zstandard

PATH: Final = b"/v1/chat/completions"

KEY: Final = b"sk-fuzz-0123456789abcdef"
"""The key that the gateway under test knows."""

BODY_LIMIT: Final = 2**20
"""The gateway's limit in bytes."""


class Case(msgspec.Struct, frozen=True):
    """One connection's worth of bytes, or one request on a kept connection.

    Attributes:
        kind: the name of the mutation.
        data: what is sent.
        framed: whether the framing is sound: then there is exactly one answer of the gateway's own, and the
            connection goes on unless the answer says otherwise.
        answers: how many answers are waited for where it is not; 0 where the request may never be complete.
    """

    kind: str
    data: bytes
    framed: bool = True
    answers: int = 1


Document = dict[str, Any]
Rng = random.Random


def _text(content: Any, **fields: Any) -> Document:
    return {"model": "echo-simple", "messages": [{"role": "user", "content": content}], **fields}


_WEATHER: Final = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
_CALLED: Final = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
    ],
}
_SHAPE: Final = {
    "type": "json_schema",
    "json_schema": {
        "name": "person",
        "strict": True,
        "schema": {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}},
    },
}
_PARTS: Final = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
]
SEEDS: Final[tuple[Document, ...]] = (
    _text("Say hello."),
    _text("Zażółć gęślą jaźń 🙂", stream=True, stream_options={"include_usage": True}),
    _text("Count to three.", stream=True, n=2, max_tokens=16, temperature=0.2, user="u-1"),
    _text("Use the weather tool.", tools=[_WEATHER], tool_choice="required", parallel_tool_calls=True),
    _text("Use weather.", tools=[_WEATHER], tool_choice="auto", stream=True),
    _text("A person.", response_format=_SHAPE, max_completion_tokens=64, seed=7),
    _text(_PARTS, model="auto", metadata={"a": "b"}, logit_bias={"50256": -100}, stop=["\n"]),
    {
        "model": "nick",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "And now?", "name": "ann"},
            _CALLED,
            {"role": "tool", "tool_call_id": "call_1", "content": "Sunny."},
        ],
        "tools": [_WEATHER],
    },
)


def make_case(seed: int, index: int) -> Case:
    """Return the case of a number; the same for the same seed."""
    rng = random.Random(f"{seed}-{index}")  # noqa: S311  reproducible, not secret
    (mutate,) = rng.choices(list(_MUTATIONS), list(_MUTATIONS.values()))
    return mutate(rng)


def valid_request(rng: Rng) -> bytes:
    """Return a request that is answered with 200."""
    return _http(json.dumps(rng.choice(SEEDS)).encode())


def _http(body: bytes, *lines: bytes, method: bytes = b"POST", path: bytes = PATH, length: bool = True) -> bytes:
    names = {line.partition(b":")[0].strip().lower() for line in lines}
    usual = [b"host: fuzz.test", b"content-type: application/json", b"authorization: Bearer " + KEY]
    head = [line for line in usual if line.partition(b":")[0] not in names] + list(lines)
    if length:
        head.append(b"content-length: %d" % len(body))
    return b"%b %b HTTP/1.1\r\n%b\r\n\r\n%b" % (method, path, b"\r\n".join(head), body)


def _body(rng: Rng) -> bytes:
    document = rng.choice(SEEDS)
    return json.dumps(document, ensure_ascii=rng.random() < 0.5, separators=rng.choice(((",", ":"), None))).encode()


# Changes of the body's bytes.


def _flip_bits(rng: Rng) -> bytes:
    body = bytearray(_body(rng))
    for _ in range(rng.randint(1, 8)):
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return bytes(body)


def _truncate(rng: Rng) -> bytes:
    body = _body(rng)
    return body[: rng.randrange(len(body))]


def _insert(rng: Rng) -> bytes:
    body = _body(rng)
    at = rng.randrange(len(body) + 1)
    noise = rng.choice(
        (rng.randbytes(rng.randint(1, 64)), b"\0", b"\xef\xbb\xbf", b"//", b",", b'"', b"\\", b"}", b"]")
    )
    return body[:at] + noise + body[at:]


def _splice(rng: Rng) -> bytes:
    one, two = _body(rng), _body(rng)
    return one[: rng.randrange(len(one))] + two[rng.randrange(len(two)) :]


def _repeat(rng: Rng) -> bytes:
    body = _body(rng)
    start = rng.randrange(len(body))
    end = rng.randrange(start, len(body)) + 1
    return body[:end] + body[start:end] * rng.choice((1, 2, 50)) + body[end:]


def _invalid_utf8(rng: Rng) -> bytes:
    body = _body(rng)
    at = rng.randrange(len(body))
    bad = rng.choice((b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"\xfe\xff"))
    return body[:at] + bad + body[at + rng.randint(0, 1) :]


def _odd_document(rng: Rng) -> bytes:
    text = _body(rng)
    return rng.choice(
        (b"", b" ", b"null", b"[]", b"{}", b'"x"', b"0", b"true", b"NaN", b"[" + text + b"]", text + text,
         b"\xef\xbb\xbf" + text, text.decode().encode("utf-16"), text.decode().encode("utf-32"), b"\0" * 100,
         text + b"\0", b" " * 50_000 + text, text + b"\n" * 50_000, b"data: " + text, text.replace(b'"', b"'"),
         b"{" * 50_000, b'{"model":"echo-simple","messages":[' + b"{}," * 1000 + b"{}]}", b"x" * (BODY_LIMIT + 1))
    )  # fmt: skip


# Changes of the document.


def _places(node: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """List every container with a key or index into it."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        found.append((node, key))
        _places(value, found)
    return found


_MARK: Final = "@mark@"


def _with_text_at(rng: Rng, text: bytes) -> bytes:
    """Put JSON text, valid or not, in the place of some value."""
    document = json.loads(json.dumps(rng.choice(SEEDS)))
    container, key = rng.choice(_places(document, []))
    container[key] = _MARK
    return json.dumps(document).encode().replace(b'"%b"' % _MARK.encode(), text, 1)


def _deep(rng: Rng) -> bytes:
    levels = rng.choice((10, 500, 990, 1_010, 5_000, 10_000, 100_000))
    start, end = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"content":', b"}]")))
    core = rng.choice((b"1", b"", b'"x"', b"null"))
    text = start * levels + core + end * (levels if rng.random() < 0.8 else levels - 1)
    return text if rng.random() < 0.2 else _with_text_at(rng, text)


def _number(rng: Rng) -> bytes:
    return _with_text_at(
        rng,
        rng.choice(
            (b"1e400", b"-1e400", b"1e-400", b"9" * 5000, b"-" + b"9" * 400, b"0." + b"3" * 5000, b"NaN", b"Infinity",
             b"-Infinity", b"-0", b"01", b"1.", b".5", b"+1", b"0x10", b"1_000", b"1e", b"18446744073709551616",
             b"9223372036854775808", b"-9223372036854775809", b"1e308", b"4.9e-324", b"2.5", b"-1", b"1" * 100_000)
        ),
    )  # fmt: skip


_JUNK: Final[tuple[Any, ...]] = (None, True, False, 0, -1, 2.5, "", "x", [], {}, [[]], [None], [{}], {"type": None},
    {"": ""}, "auto",
                "a" * 10_000, ["user"], 2**53, {"role": "user"}, [1, "a", None])  # fmt: skip


def _wrong_type(rng: Rng) -> bytes:
    document = json.loads(json.dumps(rng.choice(SEEDS)))
    for _ in range(rng.randint(1, 3)):
        container, key = rng.choice(_places(document, []))
        container[key] = copy.deepcopy(rng.choice(_JUNK))
    return json.dumps(document).encode()


def _rename_or_remove(rng: Rng) -> bytes:
    document = json.loads(json.dumps(rng.choice(SEEDS)))
    container, key = rng.choice(_places(document, []))
    value = container.pop(key)
    if isinstance(container, dict) and rng.random() < 0.6:
        container[
            rng.choice((key.upper(), key + "\0", key + " ", "", "x" * 70_000, "\ud83d", "__proto__", "Model"))
        ] = value
    return json.dumps(document).encode()


def _surrogate(rng: Rng) -> bytes:
    half = rng.choice(
        (rb"\ud83d", rb"\ude00", rb"\uD83D\uD83D", rb"\ude00\ud83d", rb"\ud83d\u0041", rb"\u0000", rb"\ud83")
    )
    return _with_text_at(rng, b'"' + rng.choice((b"", b"echo-", rb"\\")) + half + rng.choice((b"", b"x", b"\\")) + b'"')


def _duplicate_key(rng: Rng) -> bytes:
    name = rng.choice(("model", "messages", "stream", "n", "max_tokens", "tools", "user", "unknown", "role", "content"))
    spelled = rng.choice(
        (
            name,
            name.upper(),
            name.title(),
            "".join(f"\\u{ord(c):04x}" for c in name),
            f"\\u{ord(name[0]):04x}{name[1:]}",
        )
    )
    member = b'"%b":%b' % (spelled.encode(), json.dumps(rng.choice(_JUNK)).encode())
    body = _body(rng)
    if rng.random() < 0.5:
        return b"{" + member + b"," + body[1:]
    at = body.find(b'{"role"')
    return body[: at + 1] + member + b"," + body[at + 1 :]


_OF_BODY: Final[dict[Callable[[Rng], bytes], int]] = {
    _flip_bits: 10, _truncate: 6, _insert: 8, _splice: 6, _repeat: 5, _invalid_utf8: 6, _odd_document: 5, _deep: 5,
    _number: 6, _wrong_type: 12, _rename_or_remove: 6, _surrogate: 6, _duplicate_key: 8,
}  # fmt: skip


def _changed_body(rng: Rng) -> Case:
    (change,) = rng.choices(list(_OF_BODY), list(_OF_BODY.values()))
    return Case(change.__name__.strip("_"), _http(change(rng)))


def _unchanged(rng: Rng) -> Case:
    return Case("unchanged", valid_request(rng))


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
    return Case("headers", _http(_body(rng), *lines))


def _encoding(rng: Rng) -> Case:
    body = _body(rng)
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
    return Case("content-encoding", _http(sent, b"content-encoding: " + name))


def _address(rng: Rng) -> Case:
    method = rng.choice((b"GET", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"PROPFIND", b"POST"))
    path = rng.choice(
        (PATH, PATH + b"/", PATH + b"?a=b", PATH + b"?" + b"q" * 5000, b"/chat/completions", PATH + b"//",
        b"//" + PATH,
         b"/v1/chat/%63ompletions", b"/v1/chat/completions%00", b"/v1/chat/completions/x", b"/v1/models/%ff",
         b"/v1/modelsX",
         b"/v1/models/../chat/completions", b"/%2e%2e/v1", b"/", b"/v1", b"/admin/keys", b"/admin/keys/x", b"*")
    )  # fmt: skip
    return Case("address", _http(_body(rng), method=method, path=path))


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
    return Case("content-length", _http(body, b"content-length: " + value, length=False), framed=False, answers=answers)


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
    return Case("chunked", _http(sent, b"transfer-encoding: " + coding, length=False), framed=False)


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
    data = bytearray(valid_request(rng))
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
    data = valid_request(rng)
    return Case("cut-off", data[: rng.randrange(1, len(data))], framed=False, answers=0)


def _pipelined(rng: Rng) -> Case:
    """Several sound requests at once: each gets its answer, in order."""
    count = rng.randint(2, 6)
    requests = [_http(_truncate(rng)) if rng.random() < 0.3 else valid_request(rng) for _ in range(count)]
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
