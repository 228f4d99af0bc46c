"""Requests, prefill, decode and tokens of a transformers model as spans, by a hook on its ``generate``.

>>> import prony, prony.transformers
>>> with prony.Meter() as meter, prony.transformers.generation(model):     # doctest: +SKIP
...     model.generate(**inputs, max_new_tokens=32)

The spans are those of docs/worker-protocol.md: prefill ends when the first token is known (sampled, not only computed),
decode is from there to the last token, and absent if there was one only; neighbours share their edge. When a token is
known is told by a stopping criterion of ours, which stops nothing. On an accelerator it waits for the device; generate
itself does so at every token, to see whether it should stop. The spans say it: ``clock`` is "synchronised".
"""

from __future__ import annotations

import functools
from typing import Any, Dict, List, Optional, Set, Tuple

from . import _accelerator
from ._spans import complete_span, now_ns, recording, span

__all__ = ["Generation", "generation"]


class _Watch:
    """A stopping criterion that never stops: it is asked after each token. One call of generate, one thread."""

    def __init__(self, parent: int, begin_ns: int, sequences: int, input_length: Optional[int]) -> None:
        self.parent, self.begin_ns, self.sequences = parent, begin_ns, sequences
        self.length = input_length  # of the rows so far, prompt included where it is part of them
        self.ends_ns: List[int] = []    # of each step
        self.tokens: List[int] = []     # known after each step, per sequence
        self.clock: Dict[str, str] = {}

    def __call__(self, input_ids: Any, scores: Any = None, **_: Any) -> bool:
        device = input_ids.device
        if not _accelerator.is_host(device):
            waited = _accelerator.wait_for(_accelerator.backend_of(device), device)
            self.clock = {"clock": "synchronised" if waited else "host-asynchronous"}
        before = self.ends_ns[-1] if self.ends_ns else self.begin_ns
        end = now_ns()
        length = int(input_ids.shape[-1])
        new = 1 if self.length is None else max(1, length - self.length)
        self.length = length
        self.tokens.append((self.tokens[-1] if self.tokens else 0) + new)
        if self.sequences == 1:  # written at once, so that a crash loses nothing
            if not self.ends_ns:
                complete_span("", before, end, kind="prefill", parent=self.parent, **self.clock)
            more = {"tokens": new} if new > 1 else {}  # what a draft model proposed and was accepted
            complete_span("", before, end, kind="token", parent=self.parent, **more, **self.clock)
        self.ends_ns.append(end)
        return False

    def end_of(self, tokens: int) -> int:
        """When a sequence had that many tokens."""
        for end, known in zip(self.ends_ns, self.tokens):
            if known >= tokens:
                return end
        return self.ends_ns[-1]

    def decode(self, parent: int, tokens: int) -> None:
        """The span from the first token to the last, if there was a step after the first."""
        if self.ends_ns and self.end_of(tokens) > self.ends_ns[0]:
            complete_span("", self.ends_ns[0], self.end_of(tokens), kind="decode", parent=parent, **self.clock)


class Generation:
    """The hook: ``attach`` and ``detach``, or a ``with`` block. Any thread may generate; pipelines are seen too.

    One sequence: a span of kind "request" with prefill, decode and a token each as children, and the values
    ``prompt_tokens``, ``output_tokens`` (its end token counted), ``finish`` ("eos", "length", "stop"). Several in one call:
    a span of kind "batch", and in it a request for each of them, which ends with that sequence's own last token; all of
    them run at the same time. Beams are computed and thrown away: ``beams`` tells how many there were for each sequence. A
    prompt's padding is not counted. Where generate never asks its stopping criteria (a ``custom_generate``), there is the
    request alone, and its ``phases`` says why.
    """

    def __init__(self, model: Any, *, name: str = "generate") -> None:
        if not callable(getattr(model, "generate", None)):
            raise TypeError(f"{type(model).__name__} has no generate")
        self._model, self._name = model, name
        self._attached = False
        self._own: Optional[Any] = None  # what the model itself, not its class, had as generate

    def attach(self) -> "Generation":
        """Hooks generate; again: nothing."""
        if self._attached:
            return self
        generate = self._model.generate
        self._own = vars(self._model).get("generate")

        @functools.wraps(generate)
        def hooked(*given: Any, **named: Any) -> Any:
            if not recording():
                return generate(*given, **named)
            return self._generate(generate, given, named)

        self._model.generate = hooked
        self._attached = True
        return self

    def detach(self) -> None:
        """Takes the hook away."""
        if self._attached:
            self._attached = False
            if self._own is None:
                del self._model.generate
            else:
                self._model.generate = self._own

    def __enter__(self) -> "Generation":
        return self.attach()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.detach()

    def _generate(self, generate: Any, given: Tuple[Any, ...], named: Dict[str, Any]) -> Any:
        asked = _Asked(self._model, given, named)
        with span(self._name, kind="request" if asked.sequences == 1 else "batch") as outer:
            outer.set(model=type(self._model).__name__)
            watch = _Watch(outer.id, now_ns(), asked.sequences, asked.input_length)
            words = list(given)
            if len(words) > _CRITERIA_PLACE:  # they may be named, or stand in their place
                words[_CRITERIA_PLACE] = _criteria_list([*(words[_CRITERIA_PLACE] or []), watch])
            else:
                named = {**named, "stopping_criteria": _criteria_list([*(named.get("stopping_criteria") or []), watch])}
            try:
                result = generate(*words, **named)
            except BaseException:
                if asked.sequences == 1 and watch.tokens:
                    watch.decode(outer.id, watch.tokens[-1])
                    outer.set(output_tokens=watch.tokens[-1], prompt_tokens=asked.prompts[0])
                raise
            _tell(outer, asked, watch, getattr(result, "sequences", result))
            return result


_CRITERIA_PLACE = 3  # of generate(inputs, generation_config, logits_processor, stopping_criteria, …)


class _Asked:
    """What a call of generate was asked for."""

    def __init__(self, model: Any, given: Tuple[Any, ...], named: Dict[str, Any]) -> None:
        config = named.get("generation_config") or getattr(model, "generation_config", None)

        def option(name: str, default: Any = None) -> Any:
            value = named.get(name)
            return value if value is not None else getattr(config, name, None) or default

        self.beams = int(option("num_beams", 1))
        self.copies = int(option("num_return_sequences", 1))
        self.most_new, self.most = option("max_new_tokens"), option("max_length")
        self.end_tokens = _numbers(option("eos_token_id"))
        self.encoder = bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))
        ids = next((t for t in (given[0] if given else None, named.get("inputs"), named.get("input_ids"))
                    if t is not None), None)
        embedded = named.get("inputs_embeds")
        prompt = ids if ids is not None else embedded
        rows = 1 if prompt is None else int(prompt.shape[0])
        width = 0 if prompt is None else int(prompt.shape[1]) if len(prompt.shape) > 1 else 1
        # Rows of the result begin with the prompt's ids; an encoder's do not, and embeddings have none.
        self.input_length = 1 if self.encoder else width if ids is not None else 0 if embedded is not None else None
        mask = named.get("attention_mask")
        whole = [width] * rows if mask is None or len(mask.shape) != 2 else [int(n) for n in mask.sum(dim=-1).tolist()]
        self.prompts = [tokens for tokens in whole for _ in range(self.copies)]
        self.sequences = rows * self.copies

    def finish(self, row: List[int], made: int) -> str:
        """Why a sequence ended."""
        if row and row[-1] in self.end_tokens:
            return "eos"
        most = self.most_new or (self.most - (self.input_length or 0) if self.most else None)
        return "length" if most is not None and made >= most else "stop"

    def cut(self, row: List[int]) -> List[int]:
        """A sequence up to its end token: what follows is padding."""
        for place, token in enumerate(row):
            if token in self.end_tokens:
                return row[:place + 1]
        return row


def _tell(outer: span, asked: _Asked, watch: _Watch, sequences: Any) -> None:
    rows = [asked.cut([int(t) for t in row[_first_new(asked, watch, row):]]) for row in sequences.tolist()]
    if asked.beams > 1:
        outer.set(beams=asked.beams)
    if not watch.ends_ns:
        outer.set(phases="not seen: this way of generating asks no stopping criteria")
    if asked.sequences == 1 and len(rows) == 1:
        watch.decode(outer.id, len(rows[0]))
        outer.set(prompt_tokens=asked.prompts[0], output_tokens=len(rows[0]), finish=asked.finish(rows[0], len(rows[0])))
        return
    outer.set(sequences=len(rows))
    if not watch.ends_ns:
        outer.set(prompt_tokens=sum(asked.prompts), output_tokens=sum(map(len, rows)))
        return
    for number, (row, prompt) in enumerate(zip(rows, asked.prompts)):
        request = complete_span(f"{outer.name} {number}", watch.begin_ns, watch.end_of(len(row)), kind="request",
                                parent=outer.id, prompt_tokens=prompt, output_tokens=len(row),
                                finish=asked.finish(row, len(row)), **watch.clock)
        complete_span("", watch.begin_ns, watch.ends_ns[0], kind="prefill", parent=request, **watch.clock)
        watch.decode(request, len(row))


def _first_new(asked: _Asked, watch: _Watch, row: List[int]) -> int:
    if asked.input_length is not None:
        return asked.input_length
    return len(row) - watch.tokens[-1] if watch.tokens else 0


def _criteria_list(criteria: List[Any]) -> Any:
    from transformers import StoppingCriteriaList

    return StoppingCriteriaList(criteria)


def _numbers(value: Any) -> Set[int]:
    if value is None:
        return set()
    if hasattr(value, "tolist"):
        value = value.tolist()
    return {int(n) for n in value} if isinstance(value, (list, tuple, set)) else {int(value)}


def generation(model: Any, *, name: str = "generate") -> Generation:
    """Spans for what ``model.generate`` does inside a ``with`` block. See Generation."""
    return Generation(model, name=name)
