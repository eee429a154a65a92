"""What a provider sends when it is well, and in every way in which it breaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final, Literal, get_args

import msgspec

from tests.support.scripted_upstream import ABORT, CLOSE, Headers, chunk, completion, error, events, head
from tests.support.scripted_upstream import Answer as Scripted
from tests.support.scripted_upstream import plain as plain_answer
from tests.support.scripted_upstream import stream as stream_answer

Fault = Literal[
    "limited", "error", "unavailable", "hang", "slow_head", "slow_body", "cut_body", "cut_stream", "cut_first",
    "wrong_json", "html", "refused", "wrong_length", "error_event", "invalid",
]  # fmt: skip
"""What is done instead of answering.

`limited`, `error`, `unavailable`: 429, 500 and 503, with what providers say of waiting, or nothing. `hang`: not a byte.
`slow_head`, `slow_body`: a byte every `DRIP_S`. `cut_body`: the connection ends before the first event or the whole
body is there. `cut_stream`: it ends after some events, in every way a stream can end too early. `cut_first`: it ends
without a byte of the body. `wrong_json`, `html`: status 200 and no answer. `refused`: the connection is reset, and for
a moment nobody listens. `wrong_length`: the length announced is not that of the body. `error_event`: an error object
with status 200, in a stream the first event. `invalid`: 400, the caller's own fault.
"""

FAULTS: Final[tuple[Fault, ...]] = tuple(fault for fault in get_args(Fault) if fault != "invalid")
"""The provider's own."""

DRIP_S: Final = 0.1
"""Seconds between two bytes of what is slow."""

HANG: Final = float("inf")
"""A pause without an end."""

ANSWER_S: Final = 0.002
"""Seconds that a model takes to begin."""

_LET_GO_S: Final = 0.02
"""Seconds before a connection is reset, so that what was sent before is read before."""

_PIECES: Final = 6

Step = bytes | float | str
"""Bytes to send, seconds to pause, CLOSE or ABORT."""


class Play(msgspec.Struct, frozen=True):
    """What is done about one call.

    Attributes:
        steps: in order.
        fault: empty where it is answered.
        is_late: whether it breaks after an event that the caller may have got.
    """

    steps: Sequence[Step]
    fault: Fault | Literal[""] = ""
    is_late: bool = False


def text_of(name: str) -> str:
    """Return the answer of a model, whole."""
    return "".join(_words(name))


class Answers:
    """The answers of one model; they are made once, as they are the same for every call.

    Args:
        name: of the model, which stands in each of its answers.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._document = json.dumps({**completion(text_of(name)), "model": name}).encode()
        self._events = _events_of(name)
        paused: list[Step] = [step for event in self._events for step in (event, 0.0)]
        self._whole = {
            False: Play((ANSWER_S, *_plain(self._document))),
            True: Play((ANSWER_S, *_framed(*paused))),
        }
        self._broken: dict[tuple[Fault, bool], tuple[Play, ...]] = {}

    def whole(self, *, is_stream: bool) -> Play:
        """Return the answer that is well."""
        return self._whole[is_stream]

    def broken(self, fault: Fault, number: int, *, is_stream: bool) -> Play:
        """Return the answer that has a fault; with the number of the time the fault occurs, its forms take turns."""
        forms = self._broken.get((fault, is_stream))
        if forms is None:
            make = self._in_streams if is_stream else self._in_bodies
            forms = self._broken[fault, is_stream] = tuple(_everywhere(fault) or make(fault))
        return forms[number % len(forms)]

    def _in_bodies(self, fault: Fault) -> list[Play]:
        document = self._document
        half, start = len(document) // 2, _sized(len(document))
        forms: dict[Fault, list[list[Step]]] = {
            "slow_body": [[start, *_dripping(document)]],
            "cut_body": [[start + document[:half], CLOSE], [start + document[:half], _LET_GO_S, ABORT]],
            "cut_first": [[CLOSE], [start, CLOSE], [ABORT]],
            "wrong_json": [_plain(body) for body in (document[:half], b"[]", b'"well"', b"", b'{"choices": 7}')],
            "html": [_plain(_PAGE, kind="text/html"), _plain(_PAGE)],
            "wrong_length": [
                [_sized(len(document) + 7) + document, CLOSE],
                [_sized(len(document) + 7) + document, HANG],
                [_sized(half) + document],
            ],
            "error_event": [_plain(json.dumps(_ERROR).encode())],
        }
        forms["cut_stream"] = forms["cut_body"]
        return [Play(steps, fault) for steps in forms[fault]]

    def _in_streams(self, fault: Fault) -> list[Play]:
        first, *rest = self._events
        half, some = first[: len(first) // 2], self._events[:3]
        forms: dict[Fault, list[list[Step]]] = {
            "slow_body": [_framed(*_dripping(first))],
            "cut_body": [_framed(half, CLOSE, ends=False), _framed(half, _LET_GO_S, ABORT, ends=False)],
            "cut_first": [_framed(), _framed(CLOSE, ends=False), [CLOSE], [ABORT]],
            "wrong_json": [_framed(*events(text, b"[DONE]")) for text in (first[6:40], b"[]", b'{"choices": 7}')],
            "html": [_plain(_PAGE, kind="text/html"), _framed(_PAGE)],
            "wrong_length": [[_sized(len(first) // 2, "text/event-stream") + first], [_sized(0, "text/event-stream")]],
            "error_event": [_framed(*events(_ERROR, b"[DONE]")), _framed(*events(_ERROR))],
        }
        late: dict[Fault, list[list[Step]]] = {
            "slow_body": [_framed(first, *_dripping(b"".join(rest)))],
            "cut_stream": [
                _framed(*some, CLOSE, ends=False),
                _framed(*some, _LET_GO_S, ABORT, ends=False),
                _framed(*some),
                _framed(*some, rest[3][:20], CLOSE, ends=False),
                _framed(*some, *events(_ERROR)),
                _framed(*some, HANG, ends=False),
            ],
            "wrong_length": [[_sized(2 * len(first), "text/event-stream") + first, 0.0, b"".join(rest)]],
        }
        early = [Play(steps, fault) for steps in forms.get(fault, ())]
        return early + [Play(steps, fault, is_late=True) for steps in late.get(fault, ())]


def _everywhere(fault: Fault) -> list[Play]:
    """Return the forms of a fault that is the same in bodies and streams."""
    make = _ALIKE.get(fault)
    return [] if make is None else [Play(steps, fault) for steps in make()]


def _limited() -> list[list[Step]]:
    document = json.dumps(error("Rate limit reached.", "rate_limit_exceeded", "requests")).encode()
    told: list[Headers] = [
        [],
        [("retry-after", "1")],
        [("retry-after-ms", "300"), ("retry-after", "1")],
        [
            ("x-ratelimit-limit-requests", "100"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "200ms"),
        ],
        [
            ("x-ratelimit-limit-tokens", "10000"),
            ("x-ratelimit-remaining-tokens", "3"),
            ("x-ratelimit-reset-tokens", "250ms"),
            ("retry-after-ms", "250"),
        ],
    ]
    return [*(_plain(document, 429, headers) for headers in told), _plain(_PAGE, 429, kind="text/html")]


def _error() -> list[list[Step]]:
    return [_plain(json.dumps(_ERROR).encode(), 500), _plain(_PAGE, 500, kind="text/html"), _plain(b"", 500)]


def _unavailable() -> list[list[Step]]:
    document = json.dumps(error("The engine is overloaded.", None, "service_unavailable")).encode()
    return [
        _plain(document, 503),
        _plain(document, 503, [("retry-after", "1")]),
        _plain(_PAGE, 503, [("retry-after", "soon")], kind="text/html"),
    ]


_ALIKE: Final[dict[Fault, Callable[[], list[list[Step]]]]] = {
    "limited": _limited,
    "error": _error,
    "unavailable": _unavailable,
    "hang": lambda: [[HANG]],
    "slow_head": lambda: [list(_dripping(_sized(10_000)))],
    "refused": lambda: [[ABORT]],
    "invalid": lambda: [_plain(json.dumps(error("That is no temperature.", "invalid_value")).encode(), 400)],
}

_ERROR: Final = error("The server had an error while processing your request.", None, "server_error")
_PAGE: Final = b"<!doctype html><title>502</title><h1>Bad gateway</h1>" * 8


def _plain(body: bytes, status: int = 200, headers: Headers = (), kind: str = "application/json") -> list[Step]:
    return _steps(plain_answer(body, status, headers, kind=kind))


def _framed(*steps: Step, ends: bool = True) -> list[Step]:
    """Return a stream in chunks, one a piece; pauses and ends of the connection may stand between them."""
    start, *chunks = _steps(stream_answer(*(step for step in steps if isinstance(step, bytes)), ends=ends))
    pieces = iter(chunks)
    return [start, *(next(pieces) if isinstance(step, bytes) else step for step in steps), *pieces]


def _steps(answer: Scripted) -> list[Step]:
    return [step for step in answer if isinstance(step, bytes | str)]


def _dripping(data: bytes) -> list[Step]:
    return [step for byte in data for step in (bytes((byte,)), DRIP_S)]


def _sized(length: int, kind: str = "application/json") -> bytes:
    return head(200, [("content-type", kind), ("content-length", str(length))])


def _words(name: str) -> list[str]:
    return [f"{name} says word {number}. " for number in range(_PIECES)]


def _events_of(name: str) -> list[bytes]:
    """Return the events of a whole stream; the last three are the reason it ended, the usage and the end."""
    usage = {"prompt_tokens": 9, "completion_tokens": _PIECES, "total_tokens": 9 + _PIECES}
    documents = [chunk(word) for word in _words(name)] + [chunk(finish="stop"), {**chunk(), "choices": []}]
    documents[-1]["usage"] = usage
    return events(*({**document, "model": name} for document in documents), b"[DONE]")
