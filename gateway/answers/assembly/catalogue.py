"""Every assembler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.answers.assembly.base import Assembler
from gateway.answers.assembly.chat import assemble_chat
from gateway.answers.assembly.messages import assemble_message
from gateway.answers.assembly.responses import assemble_response
from gateway.domain.request import Shape

ASSEMBLERS: Final[Mapping[Shape, Assembler]] = {
    "chat": assemble_chat,
    "responses": assemble_response,
    "messages": assemble_message,
}
"""By shape of request. A new one is one line here."""
