"""Records of usage as lines of JSON: what `/admin/usage/records` gives out and `tierway plan --replay` reads."""

from __future__ import annotations

import msgspec

from policies.stores.ledgers.base import UsageRecord


def to_line(record: UsageRecord) -> bytes:
    """Return a record as one JSON object with a member for each field, and the end of the line."""
    return msgspec.json.encode(msgspec.structs.asdict(record)) + b"\n"


def from_line(line: bytes) -> UsageRecord:
    """Read a line; members that are no fields are left out of account.

    Raises:
        ValueError: it is no record; the message says why and repeats nothing of the line.
    """
    try:
        members = msgspec.json.decode(line)
        return msgspec.convert([members[name] for name in UsageRecord.__struct_fields__], UsageRecord)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a record of usage: {error}") from error
    except (KeyError, TypeError) as error:
        names = ", ".join(UsageRecord.__struct_fields__)
        raise ValueError(f"not a record of usage: an object with the members {names} is expected") from error
