"""Judges what goes to a shell, an interpreter or a database."""

from __future__ import annotations

import re
from typing import Final

from policies.sanitise.arguments.decoding import decodings

_META: Final = re.compile(r"[;&|`\n\r<>]|\$[({\w]|\\$")

_NAMES: Final = (
    r"(?:/(?:usr/)?(?:s?bin)/)?(?:id|whoami|uname|cat|tac|ls|dir|pwd|ps|env|printenv|set|nc|ncat|netcat|curl|wget|perl|python[23]?|ruby|php|bash|sh|zsh|"
    r"powershell|cmd(?:\.exe)?|ping|sleep|type|net|netsh|netstat|ipconfig|ifconfig|nslookup|dig|systeminfo|tasklist|reg|rm|del|chmod|chown|"
    r"useradd|adduser|passwd|mount|kill|shutdown|reboot|echo|printf|touch|mkdir|cp|mv|ln|find|grep|awk|sed|head|tail|more|less|w|who|last|"
    r"hostname|route|arp|traceroute|tracert|telnet|ssh|scp|ftp|tftp|certutil|bitsadmin|rundll32|wmic|crontab|iptables|timeout|phpinfo|exit|which|uptime|df|du|strace|tcpdump|base64|xxd|eval|exec|system|start)"
)
_SEPARATOR: Final = r"(?:;|&{1,2}|\|{1,2}|\n|\r|\\n|\\r|%0a|%0d|`|\$\(|\$\{)"
_LEADING: Final = re.compile(rf"^[\s'\")a-z0-9.*/_-]{{0,24}}?\s*{_SEPARATOR}\s*[\"'(]{{0,2}}{_NAMES}\b", re.IGNORECASE)
_LEADING_BARE: Final = re.compile(r"^\s*(?:;|&&?|\|\|?)\s*(?:$|[a-z/$`\"'])", re.IGNORECASE)
_TRAILING: Final = re.compile(rf"{_SEPARATOR}\s*{_NAMES}\s*(?:[;|&`)'\"]|$|\\n|-[a-z])", re.IGNORECASE)
_SUBSTITUTED: Final = re.compile(
    rf"`\s*{_NAMES}\b[^`]*`?|\$\(\s*{_NAMES}\b|\$\{{IFS\}}|\$IFS|^`[^`\n]{{1,200}}`$|<\(\s*{_NAMES}\b", re.IGNORECASE
)
_SHELLSHOCK: Final = re.compile(r"\(\)\s*\{\s*[^}]{0,20};?\s*\}\s*;")
_CALLS: Final = re.compile(
    r"\b(?:system|exec|passthru|shell_exec|popen|proc_open|pcntl_exec|eval|assert|os\.system|subprocess\.\w+|Runtime\.getRuntime|call_user_func|preg_replace|create_function|phpinfo|include|require)\s*\(\s*(?:[\"'$\\@)]|base64|hex2bin|chr|__)",
    re.IGNORECASE,
)
_TEMPLATES: Final = re.compile(
    r"\{\{[^{}]{0,200}(?:__|\*|config|self|request|7|\[\]|\(\)|class)[^{}]{0,200}\}\}|\{\$?\{[^{}]{0,200}\}\}|\$\{[^{}]{0,80}(?:jndi|:|\(|\*)[^{}]{0,200}\}?|<%=?[^%]{0,200}%>|#\{[^{}]{0,100}\}|"
    r"\{\s?\d\s?\}\s?[+*-]\s?\{\s?\d|<!--\s?#|&lt;!--\s?#|<\?(?:php|=)|\{%[^%]{0,200}%\}|__class__|__subclasses__",
    re.IGNORECASE,
)
_DESTRUCTIVE: Final = re.compile(
    r"\brm\s+-[a-z]*[rf][a-z]*\s+(?:/|~|\*)(?:\s|$|\*)|\bmkfs\b|\bdd\s+if=/dev/(?:zero|random)|:\(\)\s*\{\s*:\|:|>\s*/dev/sd|/etc/(?:passwd|shadow)|"
    r"\b(?:nc|ncat|netcat)\b[^\n]{0,80}\s-[a-z]*e\b|/dev/(?:tcp|udp)/|bash\s+-i\b|\b(?:curl|wget)\b[^\n|]{0,200}\|\s*(?:ba|z|da)?sh\b|"
    r"\bnet\s+(?:user|localgroup)\b[^\n]{0,80}/add|\breg\s+add\b|\bnetsh\s+(?:fire|adv)",
    re.IGNORECASE,
)
_WRITES: Final = re.compile(r"^\s*echo\s+[\"']?\s*<[?%a-z]|>\s*[\w./\\-]+\.(?:php|asp|aspx|jsp|sh)\b", re.IGNORECASE)
_QUOTE_BREAK: Final = re.compile(
    rf"^[^\s]{{0,12}}[\"')]+\s*(?:;|\|{{1,2}}|&{{1,2}})\s*{_NAMES}\b|^[\"'][;|&]", re.IGNORECASE
)
_TAUTOLOGY: Final = re.compile(
    r"['\")]\s*(?:or|and)\s+(?:['\"(]?\w+['\")]?\s*=\s*['\"(]?\w+|not\b|true\b|\d)|\bunion\s+(?:all\s+)?select\b|\bwaitfor\s+delay\b|\bbenchmark\s*\(|\bpg_sleep\s*\(",
    re.IGNORECASE,
)
_STACKED: Final = re.compile(
    r";\s*(?:drop|delete|truncate|alter|update|insert|grant|create|exec|shutdown|attach)\b|\bxp_cmdshell\b|\binto\s+(?:out|dump)file\b|\bload_file\s*\(",
    re.IGNORECASE,
)

_INJECTIONS: Final = (
    ("command_substitution", _SUBSTITUTED),
    ("command_separator", _LEADING),
    ("command_separator", _LEADING_BARE),
    ("command_separator", _TRAILING),
    ("quote_break", _QUOTE_BREAK),
    ("function_call", _CALLS),
    ("template", _TEMPLATES),
    ("shellshock", _SHELLSHOCK),
    ("file_write", _WRITES),
    ("destructive", _DESTRUCTIVE),
)
_WHOLE_COMMAND: Final = (
    ("shellshock", _SHELLSHOCK),
    ("destructive", _DESTRUCTIVE),
    ("quote_break", _QUOTE_BREAK),
    ("command_separator", _LEADING_BARE),
)


def judge_shell_argument(value: str) -> str | None:
    """Return the rule that a value put into a command breaks: it may hold no sign that a shell acts upon."""
    return "metacharacter" if _META.search(value) is not None else judge_injection(value)


def judge_command(value: str) -> str | None:
    """Return the rule that a whole command breaks. Pipes and lists are what commands are made of; damage is not."""
    return _first(_WHOLE_COMMAND, (value,))


def judge_injection(value: str) -> str | None:
    """Return the rule that a value breaks which looks made to be run by a shell or an interpreter."""
    return _first(_INJECTIONS, decodings(value))


def judge_sql(value: str) -> str | None:
    """Return the rule that a statement or a value for one breaks."""
    return _first((("sql_tautology", _TAUTOLOGY), ("sql_stacked", _STACKED)), decodings(value))


def judge_sql_value(value: str) -> str | None:
    """Return the rule that a value of unknown use breaks: it closes a string and goes on as SQL."""
    return _first((("sql_tautology", _TAUTOLOGY),), (value,)) if "'" in value or '"' in value else None


def _first(rules: tuple[tuple[str, re.Pattern[str]], ...], forms: list[str] | tuple[str, ...]) -> str | None:
    for form in forms:
        for rule, expression in rules:
            if expression.search(form) is not None:
                return rule
    return None
