"""Judges addresses that a tool is to open: do they lead into the operator's own network."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Final

from policies.sanitise.arguments.decoding import decodings

_ADDRESS: Final = re.compile(
    r"\s*(?P<scheme>[a-z][a-z0-9+.-]{1,20}):(?P<slashes>[\\/]{0,8})(?P<authority>[^\\/?#\s]*)", re.IGNORECASE
)
_SCHEMES: Final = frozenset({"http", "https"})
_DANGEROUS_SCHEMES: Final = (
    "file gopher dict php data jar netdoc ldap ldaps tftp sftp ftp phar expect zip glob ogg ssh2 rar "
    "compress.zlib javascript vbscript"
)
_DANGEROUS: Final = frozenset(_DANGEROUS_SCHEMES.split())
_BARE_SCHEMES: Final = frozenset({"javascript", "data", "vbscript", "jar"})
"""Take no slashes before what they lead to."""

_INTERNAL: Final = re.compile(
    r"(?:^|\.)(?:localhost|localdomain|internal|local|intranet|corp|lan|home\.arpa|cluster\.local|svc|consul)\.?$|"
    r"^metadata(?:\.|$)|^instance-data(?:\.|$)|(?:^|[.-])(?:127[.-]\d+[.-]\d+[.-]\d+|169[.-]254[.-]169[.-]254|10[.-]\d+[.-]\d+[.-]\d+)\.(?:nip|sslip|xip)\.io$|"
    r"(?:^|\.)(?:localtest\.me|lvh\.me|vcap\.me|lacolhost\.com|nip\.io|sslip\.io|xip\.io)$",
    re.IGNORECASE,
)
_NUMERIC: Final = re.compile(r"(?:0x[0-9a-f]+|\d+)(?:\.(?:0x[0-9a-f]+|\d+)){0,3}\.?", re.IGNORECASE)


def judge_address(value: str) -> str | None:
    """Return the rule that an address breaks, None if a tool may open it."""
    for form in decodings(value):
        match = _ADDRESS.match(unicodedata.normalize("NFKC", form))
        if match is None:
            if form.lstrip().startswith(("//", "\\\\")) and _is_internal(_host(form.lstrip(" /\\"))):
                return "internal_address"
            continue
        scheme = match["scheme"].lower()
        if scheme in _DANGEROUS and (match["slashes"] or scheme in _BARE_SCHEMES):
            return "scheme"
        if scheme in _SCHEMES and _is_internal(_host(match["authority"])):
            return "internal_address"
        if scheme in _SCHEMES and "\\" in match["slashes"]:
            return "malformed_address"
    return None


def _host(authority: str) -> str:
    """Return the host: what follows the last `@` and stands before the port, in lower case."""
    host = re.split(r"[\\/?#]", authority, maxsplit=1)[0].rpartition("@")[2]
    if host.startswith("["):
        return host[1:].partition("]")[0].partition("%")[0]
    return host.partition(":")[0].lower() if host.count(":") < 2 else host


def _is_internal(host: str) -> bool:
    if not host:
        return False
    if _INTERNAL.search(host) is not None:
        return True
    address = _as_address(host)
    if address is None:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    return not (mapped or address).is_global or address.is_multicast


def _as_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read a host the way `inet_aton` does: decimal, octal and hexadecimal, with fewer than four parts."""
    if ":" in host:
        try:
            return ipaddress.IPv6Address(host)
        except ValueError:
            return None
    if _NUMERIC.fullmatch(host) is None:
        return None
    try:
        parts = [_number(part) for part in host.rstrip(".").split(".")]
    except ValueError:
        return None
    *leading, last = parts
    if any(part > 255 for part in leading) or last >= 256 ** (5 - len(parts)):
        return None
    total = sum(part << 8 * (3 - position) for position, part in enumerate(leading))
    return ipaddress.IPv4Address(total + last)


def _number(part: str) -> int:
    if part.lower().startswith("0x"):
        return int(part, 16)
    return int(part, 8) if part.startswith("0") and len(part) > 1 else int(part)
