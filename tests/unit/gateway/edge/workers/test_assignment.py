from __future__ import annotations

import socket

import msgspec
import pytest

from gateway.edge.workers.assignment import Assignment


def test_it_survives_the_way_through_the_command_line() -> None:
    given = Assignment(number=7, slot=2, folder="/tmp/a b", line=3, main=4)  # noqa: S108  a name, nothing is written

    assert Assignment.from_argument(given.as_argument()) == given


def test_anything_else_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        Assignment.from_argument('{"number": "x"}')


def test_what_is_taken_is_not_passed_on_to_further_processes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as main, socket.create_server(("127.0.0.1", 0)) as admin:
        for listener in (main, admin):
            listener.set_inheritable(True)
        address = main.getsockname()
        assignment = Assignment(number=1, slot=1, folder="", line=-1, main=main.detach(), admin=admin.detach())

        taken = assignment.take_listeners()

        assert taken.main.getsockname() == address
        assert [listener is not None and listener.get_inheritable() for listener in taken] == [False, False]
        taken.close()
