"""How prompts that are there at once are put together, and what of a batch is padding. Pure arithmetic over lengths."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Sequence, Tuple

from .protocol import BadMessage

MOST_OF_A_BUDGET = 16  # prompts, as the llama worker has it


@dataclass(frozen=True)
class Batching:
    """kind: none (one after another), static, sorted (longest first), dynamic (a budget of tokens)."""

    kind: str = "none"
    size: int = 1


def batching_from(words: str) -> Batching:
    """"static:8", "sorted:8", "dynamic:2048"; anything else is a BadMessage."""
    if not words:
        return Batching()
    found = re.fullmatch(r"(static|sorted|dynamic|continuous):([0-9]{1,9})", words)
    if not found or int(found[2]) < 1:
        raise BadMessage("protocol", f"batching is none of static:N, sorted:N, dynamic:TOKENS: {words[:40]}")
    if found[1] == "continuous":
        raise BadMessage("unsupported", "this engine makes batches of a fixed shape: static:N, sorted:N or dynamic:TOKENS")
    return Batching(found[1], int(found[2]))


def plan(batching: Batching, wanted: Sequence[Tuple[int, int]]) -> List[List[int]]:
    """Which prompts are computed together, by their places in `wanted`: (prompt tokens, most output tokens) of each.

    A batch has a fixed shape: every row is as long as the longest prompt, and goes on as long as the longest answer. A budget
    holds rows times that length, so what is padding is in it."""
    places = list(range(len(wanted)))
    if batching.kind == "dynamic":
        return _within_budget(batching.size, wanted)
    if batching.kind == "sorted":
        places.sort(key=lambda place: -wanted[place][0])  # stable: equal ones keep their order
    size = batching.size if batching.kind in ("static", "sorted") else 1
    return [places[at:at + size] for at in range(0, len(places), size)]


def _within_budget(budget: int, wanted: Sequence[Tuple[int, int]]) -> List[List[int]]:
    batches: List[List[int]] = []
    longest = most_new = 0
    for place, (prompt, new) in enumerate(wanted):
        grown = (max(longest, prompt), max(most_new, new))
        rows = len(batches[-1]) + 1 if batches else 0
        if not batches or rows > MOST_OF_A_BUDGET or rows * sum(grown) > budget:
            batches.append([])  # one that is larger than the budget goes alone
            grown = (prompt, new)
        batches[-1].append(place)
        longest, most_new = grown
    return batches


def left_padding(lengths: Sequence[int]) -> List[int]:
    """Padding tokens before each prompt of one batch."""
    longest = max(lengths, default=0)
    return [longest - length for length in lengths]


def fillers(outputs: Sequence[int]) -> List[int]:
    """Tokens computed for each row after its own last one, while others of the batch go on.

    The first token comes of the prompts' own step; each further step computes one for every row, wanted or not, until the
    longest answer is there. What a row is fed after its end is nobody's answer."""
    longest = max(outputs, default=0)
    return [longest - max(output, 1) if longest else 0 for output in outputs]


def waste(prompts: Sequence[int], outputs: Sequence[int]) -> float:
    """Share of the positions of a batch that nobody asked for: padding and filler."""
    lost = sum(left_padding(prompts)) + sum(fillers(outputs))
    all_of_them = lost + sum(prompts) + sum(outputs)
    return lost / all_of_them if all_of_them else 0.0
