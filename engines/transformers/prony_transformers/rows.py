"""One prompt under way: what was made of it, when it ends and why. Pure; times are given, not taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, FrozenSet, List, Optional, Sequence, Tuple

from .protocol import Prompt


@dataclass
class Row:
    """A prompt of a batch, from its tokens to its end."""

    prompt: Prompt
    tokens: List[int]
    context: int                 # positions it may fill
    end_tokens: FrozenSet[int]
    asked_ns: int                # when the driver asked
    span: int = 0
    truncated: int = 0
    made: List[int] = field(default_factory=list)
    finish: str = ""             # empty: it goes on
    context_full: bool = False
    padding: int = 0             # tokens before the prompt, to the length of the longest of its batch
    filler: int = 0              # tokens computed for it after its own last one
    began_ns: int = 0            # of its batch
    first_ns: int = 0
    last_ns: int = 0
    memory: Dict[str, int] = field(default_factory=dict)
    rows_together: int = 1

    @property
    def done(self) -> bool:
        return bool(self.finish)

    def take(self, token: int) -> None:
        """The next token is known. After the row's end it is filler and no part of its answer."""
        if self.done:
            self.filler += 1
            return
        self.made.append(token)
        if token in self.end_tokens and not self.prompt.ignore_eos:
            self.finish = "eos"
        elif len(self.made) >= self.prompt.max_tokens:
            self.finish = "length"
        elif len(self.tokens) + len(self.made) - 1 >= self.context:
            self.finish, self.context_full = "length", True

    def stamp(self, now_ns: int) -> Tuple[int, int]:
        """Begin and end of the token that is known now."""
        before = self.last_ns or self.began_ns
        self.first_ns = self.first_ns or now_ns
        self.last_ns = now_ns
        return before, now_ns

    def call_off(self, now_ns: int) -> bool:
        """Its client goes, if it said that it would by now."""
        after = self.prompt.cancel_after_ns
        if not self.done and after is not None and now_ns - self.asked_ns >= after:
            self.finish = "cancelled"
        return self.finish == "cancelled"

    def text_tokens(self) -> List[int]:
        """The answer without the token that ended it."""
        return self.made[:-1] if self.finish == "eos" else self.made

    def counts(self) -> Dict[str, int]:
        """What the request's span counts; what is not there is left out."""
        told = {"prompt_tokens": len(self.tokens), "output_tokens": len(self.made)}
        if self.truncated:
            told["truncated_tokens"] = self.truncated
        if self.rows_together > 1:
            told.update(padding_tokens=self.padding, filler_tokens=self.filler, batch_rows=self.rows_together)
        if self.finish == "cancelled":
            told["cancelled"] = 1
        length, period = repeated_tail(self.made)
        if length:
            told.update(loop_tokens=length, loop_period=period)
        told.update(self.memory)
        return told


def repeated_tail(sequence: Sequence[int], least: int = 24, longest: int = 256) -> Tuple[int, int]:
    """Length and period of the longest tail that repeats one piece at least three times; (0, 0): it does not repeat.

    As engines/shared/repetition.hpp has it, for the same figures of every engine."""
    best: Optional[Tuple[int, int]] = None
    size = len(sequence)
    for period in range(1, min(longest, size // 3) + 1):
        matches = 0
        while matches + period < size and sequence[size - 1 - matches] == sequence[size - 1 - matches - period]:
            matches += 1
        length = matches + period
        if matches >= 2 * period and length >= least and length > (best[0] if best else 0):
            best = (length, period)
    return best or (0, 0)
