"""What the settings file says about the guard, on every level: the organisation's `guard`, a team's, a key's.

All levels have the same fields, and all of them may be left out: a level that says nothing leaves what stands above it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

Action = Literal["ignore", "monitor", "flag", "redact", "block"]
"""What is done about a finding, in order of strictness. `ignore`: it is not looked for; `monitor`: counted and told of,
without any effect; `flag`: told of, and the answer is shared with nobody; `redact`: a placeholder takes its place, or a
disguise is written plainly; what cannot be replaced (an injection) is only flagged; `block`: 400 `content_policy`."""

ACTIONS: Final[tuple[Action, ...]] = ("ignore", "monitor", "flag", "redact", "block")
"""From the mildest to the strictest."""

STRICTNESS: Final[dict[Action, int]] = {action: place for place, action in enumerate(ACTIONS)}
"""An action's place in that order."""

DetectorName = Literal["unicode", "secrets", "pii", "injection", "custom", "canary", "leak", "links", "tools"]
"""What settings, headers and metrics call the detectors."""

Direction = Literal["input", "output", "tool_arguments", "tool_results"]
"""Whose text it is: what people and applications send, what models answer, what models ask of tools, what these say."""

_Count = Annotated[int, msgspec.Meta(ge=1)]
_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class InputActions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done about findings in what is sent to a model.

    Messages of trusted roles are looked through for secrets only.
    """

    unicode: Action | None = None
    """Invisible characters, overrides of direction, look-alikes. `ignore` where no level speaks."""
    secrets: Action | None = None
    """Keys, tokens, passwords. `ignore` where no level speaks."""
    pii: Action | None = None
    """E-mail addresses, telephone numbers, cards, accounts, ids. `ignore` where no level speaks."""
    injection: Action | None = None
    """Attempts to take the model over, in what users say. `ignore` where no level speaks."""
    custom: Action | None = None
    """What `patterns` find. `flag` where no level speaks."""


class ResultActions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done about findings in results of tools and in documents, where instructions have no business."""

    unicode: Action | None = None
    """As for the input; as `input.unicode` where no level speaks."""
    secrets: Action | None = None
    """As for the input; as `input.secrets` where no level speaks."""
    pii: Action | None = None
    """As for the input; as `input.pii` where no level speaks."""
    injection: Action | None = None
    """Instructions for the model, judged more strictly than a user's; as `input.injection` where no level speaks."""
    custom: Action | None = None
    """As for the input; as `input.custom` where no level speaks."""


class OutputActions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done about findings in answers."""

    unicode: Action | None = None
    """As for the input. `ignore` where no level speaks."""
    secrets: Action | None = None
    """Keys, tokens, passwords. `ignore` where no level speaks."""
    pii: Action | None = None
    """As for the input. What the answer's placeholders stand for is no finding. `ignore` where no level speaks."""
    injection: Action | None = None
    """Instructions for whoever reads the answer. `ignore` where no level speaks."""
    custom: Action | None = None
    """What `patterns` find. `ignore` where no level speaks."""
    canary: Action | None = None
    """Words of `canaries`. `block` where no level speaks; without canaries there is nothing to look for."""
    leak: Action | None = None
    """The system message, word for word. `ignore` where no level speaks."""
    links: Action | None = None
    """Images and links that would carry text to a host that `allow.links` does not name. `ignore` where no level
    speaks."""


class ToolRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for one tool."""

    roots: tuple[str, ...] | None = None
    """Folders that its absolute paths may lead into; as for all tools where absent."""
    hosts: tuple[str, ...] | None = None
    """Hosts that its addresses may name; as for all tools where absent."""
    action: Action | None = None
    """What is done about findings in its arguments; as for all tools where absent."""


class ToolArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What models may ask of tools."""

    action: Action | None = None
    """What is done about arguments that must not be handed to a tool, and calls of tools that are not allowed."""
    allowed: tuple[str, ...] | None = None
    """Shell patterns over the names of tools that may be called; any where absent."""
    roots: tuple[str, ...] | None = None
    """Folders that absolute paths may lead into; none where absent: relative paths pass that do not climb out."""
    hosts: tuple[str, ...] | None = None
    """Hosts that addresses may name, `.example.org` for all below it; any public one where absent."""
    rules: dict[str, ToolRules] = {}
    """What holds for single tools, by name."""


class PromptLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How large a prompt may be, whatever the body limit says. Of all levels the smallest number holds."""

    characters: _Count | None = None
    """Characters of text in all messages together. 400,000 where no level speaks."""
    tokens: _Count | None = None
    """Tokens of all messages together, estimated as one for four bytes. Unbounded where no level speaks."""
    messages: _Count | None = None
    """Messages in one request. 500 where no level speaks."""
    images: _Count | None = None
    """Image parts in all messages together. 20 where no level speaks."""
    attachments: _Count | None = None
    """Files, documents and audio in all messages together. Unbounded where no level speaks."""
    depth: Annotated[int, msgspec.Meta(ge=4)] | None = None
    """Objects and arrays inside each other in the request. Unbounded where no level speaks, but for the reader's own
    bound of about 200."""


class AllowLists(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is no finding.

    Entries are shell patterns over what was found, without regard to letter case, such as `*@example.org`; `rule:phone`
    allows all that a rule finds.
    """

    unicode: tuple[str, ...] | None = None
    """Rules of disguises, as in `rule:leet`."""
    secrets: tuple[str, ...] | None = None
    """Keys that are examples, or rules."""
    pii: tuple[str, ...] | None = None
    """Addresses and numbers of your own, or rules."""
    injection: tuple[str, ...] | None = None
    """Whole texts, as in `translate:*`, or phrase families, as in `rule:override`."""
    custom: tuple[str, ...] | None = None
    """What patterns find and should not."""
    links: tuple[str, ...] | None = None
    """Hosts that images and links of answers may name; `.example.org` stands for all below it."""


class GuardSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is checked in requests and answers, and what is done about it.

    A lower level can only tighten: of two actions the stricter holds, of two limits the smaller, unless `grants` of the
    level above names `guard`.
    """

    input: InputActions = InputActions()
    """In what is sent to models."""
    output: OutputActions = OutputActions()
    """In answers."""
    tool_arguments: Action | ToolArguments | None = None
    """In what models ask of tools: an action, or a mapping. `ignore` where no level speaks."""
    tool_results: ResultActions = ResultActions()
    """In results of tools and in documents."""
    restore: bool | None = None
    """Put back in answers what placeholders stand for. On where no level speaks; a lower level may turn it off."""
    trusted_roles: tuple[Literal["system", "developer"], ...] | None = None
    """Roles whose messages are your own: looked through for secrets only. Both where no level speaks."""
    limits: PromptLimits = PromptLimits()
    """How large a prompt may be."""
    patterns: dict[_Name, str] = {}
    """Expressions of your own in RE2's syntax, by name; those of all levels are looked for."""
    canaries: tuple[Annotated[str, msgspec.Meta(min_length=8)], ...] = ()
    """Words that stand in your system messages and in no answer; those of all levels are looked for."""
    allow: AllowLists = AllowLists()
    """What is no finding. Of a lower level's entries those hold that the level above has too, unless it grants
    `guard`."""

    def __repr__(self) -> str:  # canaries are secrets
        return f"GuardSettings({len(self.canaries)} canaries)"


SECTIONS: Final = (
    GuardSettings, InputActions, OutputActions, ResultActions, ToolArguments, ToolRules, PromptLimits, AllowLists,
)  # fmt: skip
"""Every struct of the section, in the order the reference lists them."""
