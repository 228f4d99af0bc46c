"""Messages of the driver, read: members of a type and within bounds, or a BadMessage. Pure."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

MOST_LINE = 16 << 20
MOST = 2**31 - 1


class BadMessage(Exception):
    """What the driver sent is not what the protocol says; `code` is one of docs/worker-protocol.md."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def parse(line: bytes) -> Dict[str, Any]:
    if len(line) > MOST_LINE:
        raise BadMessage("protocol", "the line is longer than 16 MiB")
    try:
        message = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise BadMessage("protocol", "the line is not a JSON object")
    return message


def text(message: Dict[str, Any], key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str):
        raise BadMessage("protocol", f"{key} is missing or no text")
    return value.encode("utf-8", "replace").decode("utf-8")  # JSON may hold half of a surrogate pair


def integer(message: Dict[str, Any], key: str, least: int, most: int, otherwise: Any = None) -> Any:
    value = message.get(key)
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadMessage("protocol", f"{key} is no whole number from {least} to {most}")
    return value


def number(message: Dict[str, Any], key: str, otherwise: float) -> float:
    value = message.get(key)
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise BadMessage("protocol", f"{key} is no number")
    return float(value)


def yes(message: Dict[str, Any], key: str, otherwise: bool = False) -> bool:
    value = message.get(key)
    if value is None:
        return otherwise
    if not isinstance(value, bool):
        raise BadMessage("protocol", f"{key} is neither true nor false")
    return value


def texts(message: Dict[str, Any], key: str) -> List[str]:
    value = message.get(key)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadMessage("protocol", f"{key} is missing or no list of texts")
    return value


def _pairs(message: Dict[str, Any], key: str, kind: type) -> Dict[str, Any]:
    value = message.get(key) or {}
    if not isinstance(value, dict):
        raise BadMessage("protocol", f"{key} is no object")
    return {name: one for name, one in value.items() if isinstance(one, kind) and not isinstance(one, bool)}


@dataclass
class Prompt:
    """One prompt, as the protocol has it."""

    id: str
    text: str
    max_tokens: int = 128
    min_tokens: int = 0
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 1
    ignore_eos: bool = False
    keep_output: bool = False
    return_text: bool = False
    warm_up: bool = False
    repeat: int = 1
    truncate: Optional[int] = None
    cancel_after_ns: Optional[int] = None
    counts: Dict[str, int] = field(default_factory=dict)
    attributes: Dict[str, str] = field(default_factory=dict)

    @property
    def greedy(self) -> bool:
        """The largest logit, whatever else is set, and nothing random is drawn."""
        return self.temperature <= 0 or self.top_k == 1

    def may_end(self, made: int) -> bool:
        """Whether the next token, after so many, may be an end token."""
        return not self.ignore_eos and made >= self.min_tokens


def prompt(message: Dict[str, Any], seed: int) -> Prompt:
    return Prompt(
        id=text(message, "id"), text=text(message, "text"),
        max_tokens=integer(message, "max_tokens", 1, MOST, 128), min_tokens=integer(message, "min_tokens", 0, MOST, 0),
        temperature=number(message, "temperature", 0.0), top_k=integer(message, "top_k", 0, MOST, 0),
        top_p=number(message, "top_p", 1.0), seed=integer(message, "seed", 0, 2**32 - 1, seed),
        ignore_eos=yes(message, "ignore_eos"), keep_output=yes(message, "keep_output"),
        return_text=yes(message, "return_text"), warm_up=yes(message, "warm_up"),
        repeat=integer(message, "repeat", 1, MOST, 1),
        truncate=integer(message, "truncate_prompt_tokens", 2, MOST),
        cancel_after_ns=integer(message, "cancel_after_ns", 0, 2**62),
        counts=_pairs(message, "counts", int), attributes=_pairs(message, "attributes", str))


@dataclass
class Load:
    """A `load` request; what is left out is the worker's default."""

    model: str
    seed: int = 1
    threads: Optional[int] = None
    ctx: Optional[int] = None
    batching: str = ""


def load(message: Dict[str, Any]) -> Load:
    batching = message.get("batching")
    if batching is not None and not isinstance(batching, str):
        raise BadMessage("protocol", "batching is no text")
    return Load(model=text(message, "model"), seed=integer(message, "seed", 0, 2**32 - 1, 1),
                threads=integer(message, "threads", 1, 4096), ctx=integer(message, "ctx", 1, MOST),
                batching=batching or "")


def truncated(tokens: List[int], most: Optional[int], begin: Optional[int]) -> List[int]:
    """A prompt cut to its last tokens; a begin token stays where it is."""
    if most is None or len(tokens) <= most:
        return tokens
    if begin is not None and tokens and tokens[0] == begin:
        return [begin] + (tokens[-(most - 1):] if most > 1 else [])
    return tokens[-most:]
