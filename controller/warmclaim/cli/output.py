"""How a command's result is printed."""

from __future__ import annotations

from enum import StrEnum


class Output(StrEnum):
    """For people or for programs."""

    TEXT = "text"
    JSON = "json"
