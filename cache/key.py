"""What makes two requests the same: who asks, and every field but those that cannot change the answer."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from cache.settings import CacheSettings
from gateway.domain.caller import Caller
from gateway.domain.request import ModelRequest

_NO_PART: Final = frozenset({"metadata", "user", "safety_identifier", "store", "stream", "stream_options"})
"""Fields that label a request, or say how its answer travels."""

_DECODER: Final = msgspec.json.Decoder(dict[str, object])
_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def exact_key(settings: CacheSettings, caller: Caller, request: ModelRequest, tier: str | None) -> bytes | None:
    """Return the key of a request, or None when it is not to be cached.

    The order of an object's members and the spelling of its text do not matter; everything else does. A request
    that repeats a name has no key, as its decoded form holds one of the values only.
    """
    if not request.is_faithful or not request.may_be_shared:
        return None
    try:
        fields = _DECODER.decode(request.body)
    except msgspec.DecodeError:
        return None
    for name in _NO_PART:
        fields.pop(name, None)
    scope = {"key": caller.key_id, "team": caller.team, "org": ""}[settings.scope]
    who = (settings.scope, caller.organisation, scope, tier or "", request.shape)
    return blake2b(_ENCODER.encode((who, fields)), digest_size=32).digest()
