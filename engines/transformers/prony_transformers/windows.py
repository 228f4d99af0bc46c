"""Which windows of a corpus are computed for its perplexity, and which of their tokens are scored. Pure.

As engines/llama/perplexity.hpp has it: every token is scored at most once, with as much of the text before it as its window
holds; a begin token, where the model has one, stands before every window and is in its length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List


@dataclass(frozen=True)
class Window:
    """Tokens [begin, end) are computed, [scored, end) are scored."""

    begin: int
    scored: int
    end: int


def windows(tokens: int, length: int, stride: int, begin_token: bool) -> List[Window]:
    """`length` positions at most, `stride` new ones each (1 to the window's own)."""
    room = length - (1 if begin_token else 0)
    step = min(stride, room)
    if room < 1 or step < 1 or (room < 2 and not begin_token):
        raise ValueError("a window has room for no token that could be scored")
    made: List[Window] = []
    at = 0
    while at < tokens:
        end = min(tokens, at + (step if at else room))
        begin = max(0, end - room)
        scored = max(at, begin + (0 if begin_token else 1))  # nothing tells the first token where nothing is before it
        if scored < end:
            made.append(Window(begin, scored, end))
        at = end
    return made
