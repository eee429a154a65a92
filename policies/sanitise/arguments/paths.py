"""Judges paths: do they stay where they may, and does their spelling try to hide where they lead."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Final

from policies.sanitise.arguments.decoding import MALFORMED, NESTED, OVERLONG, decodings

_DOTS: Final = re.compile(r"(?:^|[\\/])\.{2,}(?:[\\/]|[\x00;?#]|$)")
_DOTTED: Final = re.compile(
    r"(?:^|[\\/])\.{4,}[\\/]|(?:^|[\\/])\.{3,}[\\/](?:.*[\\/])?\.{2,}(?:[\\/]|$)|\.{2,}[\\/]{2,}|\.[\\/]+\.\.[\\/]|\?\?[\\/]"
)
_STRIPPED: Final = re.compile(r"\.\.(?:2f|5c|c0|c1|252f|u2215|u2216|0x2f|0x5c)", re.IGNORECASE)
_DRIVE: Final = re.compile(r"[A-Za-z]:(?:[\\/]|[A-Za-z]+[\\/])|\\\\[\w.]+\\")
_UNIX: Final = re.compile(r"~?/[^\s/][^\n]*|/")
_PATHLIKE: Final = re.compile(r"[^\s]*[\\/][^\n]{0,1024}|[^\s]+")

_SENSITIVE: Final = re.compile(
    r"(?:^|/)(?:etc|proc|sys|dev|root|boot)/|(?:^|/)var/(?:log|adm|run|spool|www|lib|mail|apache|cpanel)(?:/|$)|(?:^|/)\.(?:ssh|aws|gnupg|docker|kube|git)(?:/|$)|"
    r"(?:^|/)\.(?:bash_history|bashrc|bash_profile|profile|netrc|rhosts|htaccess|htpasswd|env|pgpass|npmrc|pypirc|zsh_history|mysql_history|pass|git-credentials)(?:$|[./?;])|"
    r"(?:^|/)(?:id_(?:rsa|dsa|ecdsa|ed25519)|authorized_keys|known_hosts|shadow|passwd|sudoers|master\.passwd|wp-config\.php|web\.config|"
    r"boot\.ini|win\.ini|system\.ini|php\.ini|my\.(?:cnf|ini)|httpd\.conf|nginx\.conf|unattend(?:ed)?\.xml|ntuser\.dat|sam|pswd|"
    r"global\.asa|localstart\.asp|metabase\.xml|tomcat-users\.xml|(?:access|error|acces)[._]log)(?:$|[./?;:^_])|"
    r"^(?:[a-z]:/?|/)(?:windows|winnt|system32|program ?files|users|inetpub|xampp|wamp|apache|mysql|php"
    r"|documents and settings)|/winnt/|/windows/|/cgi-bin/",
    re.IGNORECASE,
)
"""Places that hold keys, accounts, logs or the configuration of servers, on Unix and Windows."""


def judge_path(value: str, roots: Sequence[str] = (), *, must_stay: bool = True) -> str | None:
    """Return the rule that a path breaks, None if it may be used.

    Args:
        roots: folders that absolute paths may lead into; relative ones are read as if from one of them.
        must_stay: whether an absolute path needs a root at all, or only must not lead to a sensitive place.
    """
    if (rule := _spelling(value)) is not None:
        return rule
    for form in decodings(value):
        if "\x00" in form:
            return "nul"
        if _DOTS.search(form) is not None and _leaves(form, roots):
            return "traversal"
        if _DOTTED.search(form) is not None or _STRIPPED.search(form) is not None:
            return "traversal"
        rule = _place(form, roots, must_stay=must_stay)
        if rule is not None:
            return rule
    return None


def is_pathlike(value: str) -> bool:
    """Whether a value of which nothing is known looks like a path: no sentence, and a separator or dots."""
    stripped = value.strip()
    if not stripped or len(stripped) > 1024 or "\n" in stripped:
        return False
    if _DRIVE.match(stripped) is not None:
        return True
    if stripped.startswith("/") and stripped.count(" ") <= 4:
        return True
    return stripped.count(" ") <= 1 and (
        stripped.startswith(("/", "~", ".", "%", "\\", "?", "0x")) or "/" in stripped or "\\" in stripped
    )


def _spelling(value: str) -> str | None:
    if "%" not in value and "\\x" not in value and value.isascii():
        return None
    if OVERLONG.search(value) is not None:
        return "overlong"
    if NESTED.search(value) is not None:
        return "nested_encoding"
    return "malformed_encoding" if MALFORMED.search(value) is not None else None


def _leaves(form: str, roots: Sequence[str]) -> bool:
    path = _unified(form)
    if path.startswith("/"):
        normal = posixpath.normpath(path)
        return not any(_is_within(normal, root) for root in roots)
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else 0 if part in {"", "."} else 1
        if depth < 0:
            return True
    return False


def _place(form: str, roots: Sequence[str], *, must_stay: bool) -> str | None:
    path = _unified(form)
    is_absolute = path.startswith(("/", "~")) or _DRIVE.match(form) is not None
    if is_absolute and any(_is_within(posixpath.normpath(path), root) for root in roots):
        return None
    if _SENSITIVE.search(path) is not None and (is_absolute or not must_stay or _is_dot_file(path)):
        return "sensitive_path"
    return "outside_roots" if is_absolute and must_stay else None


def _is_dot_file(path: str) -> bool:
    return "/" not in path or path.startswith(".")


def _is_within(path: str, root: str) -> bool:
    base = root.rstrip("/")
    return path == base or path.startswith(base + "/")


def _unified(form: str) -> str:
    return re.sub(r"/{2,}", "/", form.replace("\\", "/").strip())
