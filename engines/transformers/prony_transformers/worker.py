"""The worker protocol: each request has its reply, what happens is told as spans, errors are values. Every rank runs this;
rank 0 alone reads and speaks."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from . import VERSION
from .batching import plan
from .engine import Engine, Failure
from .group import Group
from .lines import Lines
from .precision import DTYPES
from .protocol import MOST, BadMessage, Prompt, integer, load, parse, prompt, text, texts
from .ranks import own_share, put_together
from .rows import Row
from .spans import DECODE, FAILED, OK, PHASE, PREFILL, REQUEST, TOKEN, TOKENISE, Spans, now_ns

CAPABILITIES = ["prompt", "phase", "cancel", "seed", "ignore_eos", "sampling", "batch", "min_tokens", "truncate",
                "cancel_after", "tokenise", "perplexity"]


def fault_from(environment: Mapping[str, str]) -> Tuple[str, int]:
    """"crash-at:3" → (crash-at, 3): see "Test hooks" in docs/worker-protocol.md."""
    kind, _, number = environment.get("PRONY_ENGINE_FAULT", "").partition(":")
    return (kind, int(number)) if number.isdigit() else ("", 0)


class Worker:
    """One of the ranks, or the only one."""

    def __init__(self, engine: Engine, group: Group, spans: Spans, lines: Optional[Lines], say: Callable[[str], None]) -> None:
        self.engine, self.group, self.spans, self.lines, self._say = engine, group, spans, lines, say
        self.fault = fault_from(os.environ)
        self.seed, self.prompts, self.turn = 1, 0, 0
        self.called_off = False  # by rank 0, which heard the driver
        self.totals = {"prompt_tokens": 0, "output_tokens": 0, "padding_tokens": 0, "filler_tokens": 0}

    # --- lines -------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        if not self.group.place.alone:
            signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "called_off", True))
        if self.group.place.leads:
            self.say({"type": "hello", "protocol": 1, "worker": "prony-engine-transformers", "version": VERSION,
                      "engine": "transformers", "engine_version": self.engine.versions["transformers"],
                      "capabilities": CAPABILITIES, "dtypes": list(DTYPES)})
        while True:
            message = self.group.tell(self.next_message() if self.group.place.leads else None)
            if message is None:
                return 0
            self.called_off = False
            reply = self.reply_to(message)
            if self.group.place.leads:
                self.say(reply)
            if reply.get("type") == "bye":
                return 0

    def next_message(self) -> Optional[Dict[str, Any]]:
        """The driver's next word that is an object; what is none is answered here. None: there is nobody left."""
        while True:
            line = self.lines.next()
            if line is None:
                return None
            if not line.strip():
                continue
            try:
                message = parse(line)
            except BadMessage as bad:
                self.say(self.error(bad.code, bad.message))
                continue
            self.lines.begin()
            return message

    def say(self, message: Dict[str, Any]) -> None:
        self._say(json.dumps(message, ensure_ascii=False))

    def cancelled(self) -> bool:
        if self.lines is not None and self.lines.cancelled.is_set() and not self.called_off:
            self.called_off = True
            self.group.call_off()
        return self.called_off

    @staticmethod
    def error(code: str, message: str, identity: Optional[str] = None) -> Dict[str, Any]:
        what = {"code": code, "message": message}
        if identity is not None:
            what["id"] = identity
        return {"type": "error", "error": what}

    def reply_to(self, message: Dict[str, Any]) -> Dict[str, Any]:
        identity = message.get("id") if isinstance(message.get("id"), str) else None
        try:
            kind = text(message, "type")
            handler = getattr(self, "do_" + kind, None) if kind.isascii() and kind.isidentifier() else None
            if handler is None:
                raise BadMessage("protocol", f'unknown type "{kind[:40]}"')
            if kind in ("prompt", "batch", "tokenise", "perplexity") and not self.engine.loaded:
                raise BadMessage("state", "no model is loaded")
            return handler(message)
        except (BadMessage, Failure) as problem:
            return self.error(problem.code, problem.message, identity)

    # --- requests of the driver --------------------------------------------------------------------------------------

    def do_load(self, message: Dict[str, Any]) -> Dict[str, Any]:
        asked = load(message)
        span = self.spans.begin(PHASE, "load")
        facts: Dict[str, Any] = {}
        failure = None
        try:
            facts = self.engine.load(asked)
        except (Failure, BadMessage) as problem:
            failure = (problem.code, problem.message)
        everyone = self.group.gather(failure)  # each waits here for the slowest
        self.spans.tell(span, counts={name[len("engine.load_"):]: value for name, value in facts.items()
                                      if name.startswith("engine.load_memory")})
        self.spans.end(span, FAILED if failure else OK)
        self.seed = asked.seed
        for rank, one in enumerate(everyone):
            if one:
                self.engine.model = None
                return self.error(one[0], one[1] if self.group.place.alone else f"rank {rank}: {one[1]}")
        if not self.group.place.alone:
            facts["engine.ranks"] = self.group.place.size
        return {"type": "loaded", "facts": facts}

    def do_prompt(self, message: Dict[str, Any]) -> Dict[str, Any]:
        asked = prompt(message, self.seed)
        if asked.warm_up:
            return self.warm_up(asked)
        mine = self.turn % self.group.place.size == self.group.place.rank
        self.turn += 1
        answers = self.group.gather(self.answer_all([asked])[0] if mine else None)
        return next(answer for answer in answers if answer is not None)

    def do_batch(self, message: Dict[str, Any]) -> Dict[str, Any]:
        identity, listed = text(message, "id"), message.get("prompts")
        if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
            raise BadMessage("protocol", "prompts is missing or no list of objects")
        asked = [prompt(one, self.seed) for one in listed]
        if any(one.warm_up for one in asked):
            raise BadMessage("protocol", "a warm-up goes alone")
        self.group.barrier()  # all ranks begin together
        own = self.answer_all(own_share(asked, self.group.place))
        results = put_together(self.group.gather(own), len(asked))
        stopped = any(result.get("finish") == "stop" for result in results)
        return {"type": "result", "id": identity, "finish": "stop" if stopped else "length", "results": results}

    def do_phase(self, message: Dict[str, Any]) -> Dict[str, Any]:
        name, rest = text(message, "name"), integer(message, "ms", 0, 86_400_000)
        if rest is None:
            raise BadMessage("protocol", "ms is missing")
        if self.group.place.leads:
            span = self.spans.begin(PHASE, name)
            end = now_ns() + rest * 1_000_000
            while not self.cancelled() and now_ns() < end:
                time.sleep(min(0.05, max(0.0, (end - now_ns()) / 1e9)))  # a cancel need not wait for the end
            self.spans.end(span)
        return {"type": "done", "name": name}

    def do_tokenise(self, message: Dict[str, Any]) -> Dict[str, Any]:
        def count(words: str) -> Optional[int]:
            try:
                return len(self.engine.tokens_of(words))
            except Exception:  # pylint: disable=broad-except
                return None

        return {"type": "tokenised", "counts": [count(words) for words in texts(message, "texts")]}

    def do_perplexity(self, message: Dict[str, Any]) -> Dict[str, Any]:
        words = text(message, "text")
        length = integer(message, "window", 2, MOST, 512)
        stride = integer(message, "stride", 1, MOST, length)
        most = integer(message, "most_tokens", 1, MOST)
        if not self.group.place.leads:
            return {}
        span = self.spans.begin(PHASE, "perplexity")
        try:
            found = self.engine.perplexity(words, length, stride, most, self.cancelled)
            self.spans.tell(span, counts={"scored_tokens": sum(int(window[0]) for window in found["windows"])})
            return {"type": "perplexity", **found, "stride": min(stride, length)}
        except Failure:
            raise
        except Exception as problem:  # pylint: disable=broad-except
            raise self.engine.failure_of(problem) from problem
        finally:
            self.spans.end(span)

    def do_stop(self, _message: Dict[str, Any]) -> Dict[str, Any]:
        everyone = self.group.gather((self.totals, self.engine.memory.most, self.engine.memory.reset_works))
        facts: Dict[str, Any] = {}
        for name in ("padding_tokens", "filler_tokens"):
            facts["engine." + name] = sum(totals[name] for totals, _, _ in everyone)
        for name in ("current", "peak", "reserved"):
            values = [most[name] for _, most, _ in everyone if name in most]
            if values:
                facts[f"engine.memory_{name}_bytes"] = sum(values)
        if not all(works for _, _, works in everyone):
            facts["engine.memory_peak_of"] = "the whole process: its high-water mark could not be reset"
        if len(everyone) > 1:
            facts["engine.rank_output_tokens"] = ", ".join(f"{rank}: {totals['output_tokens']}"
                                                           for rank, (totals, _, _) in enumerate(everyone))
        return {"type": "bye", "facts": facts}

    # --- prompts -----------------------------------------------------------------------------------------------------

    def warm_up(self, asked: Prompt) -> Dict[str, Any]:
        """At every rank, so that each is warm; it counts nowhere."""
        span = self.spans.begin(PHASE, "warm-up")
        failure = None
        row = None
        try:
            row = self.row_of(asked, now_ns())
            self.engine.answer([row], lambda *_: None, lambda *_: None, self.cancelled)
        except Failure as problem:
            failure = (problem.code, problem.message)
        failures = [one for one in self.group.gather(failure) if one]
        self.spans.end(span, FAILED if failure else OK)
        if failures:
            return self.error(*failures[0], asked.id)
        return self.result(row)

    def row_of(self, asked: Prompt, asked_ns: int) -> Row:
        try:
            whole = self.engine.tokens_of(asked.text)
            tokens = self.engine.tokens_of(asked.text, asked.truncate)
        except Failure:
            raise
        except Exception as problem:  # pylint: disable=broad-except
            raise self.engine.failure_of(problem) from problem
        if len(tokens) >= self.engine.context:
            raise Failure("context", f"the prompt has {len(tokens)} tokens; a context of {self.engine.context} leaves no room "
                                     "for an answer")
        return Row(asked, tokens, self.engine.context, self.engine.end_tokens, asked_ns, truncated=len(whole) - len(tokens))

    def answer_all(self, asked: List[Prompt]) -> List[Dict[str, Any]]:
        """This rank's own prompts, put together as was told; their replies in their order."""
        begin = now_ns()
        opened = [self.open_request(one) for one in asked]
        replies: List[Optional[Dict[str, Any]]] = [None] * len(asked)
        rows: List[Tuple[int, Row]] = []
        for place, (one, span) in enumerate(zip(asked, opened)):
            self.prompts += 1
            replies[place] = self.misbehave(one, span)
            if replies[place] is not None:
                continue
            before = now_ns()
            try:
                row = self.row_of(one, begin)
            except Failure as failure:
                replies[place] = self.fail(span, one, failure, None)
                continue
            self.spans.complete(TOKENISE, span, before, now_ns())
            row.span = span
            rows.append((place, row))
        wanted = [(len(row.tokens), row.prompt.max_tokens) for _, row in rows]
        for batch in plan(self.engine.batching, wanted):
            self.answer_batch([rows[at] for at in batch], replies)
        return [reply for reply in replies if reply is not None]

    def answer_batch(self, batch: List[Tuple[int, Row]], replies: List[Optional[Dict[str, Any]]]) -> None:
        rows = [row for _, row in batch]
        failure = None
        if self.cancelled():
            for row in rows:
                row.finish = "stop"
        else:
            self.engine.memory.begin()  # the peak is this window's
            try:
                self.engine.answer(rows, self.tell_step, self.tell_token, self.cancelled)
            except Failure as problem:
                failure = problem
            memory = self.engine.memory.end()
            for row in rows:
                row.memory = memory
        for place, row in batch:
            replies[place] = self.fail(row.span, row.prompt, failure, row) if failure else self.finish(row)

    def open_request(self, asked: Prompt) -> int:
        span = self.spans.begin(REQUEST, asked.id)
        counts = dict(asked.counts)
        if asked.repeat > 1:
            counts["repeat"] = asked.repeat
        if not self.group.place.alone:
            counts["rank"] = self.group.place.rank
        attributes = {"prompt": asked.text, **asked.attributes}
        if self.engine.clock:
            attributes["clock"] = self.engine.clock
        self.spans.tell(span, counts, attributes)
        return span

    def tell_step(self, begin: int, end: int, counts: Dict[str, int]) -> None:
        if self.engine.batching.kind != "none":
            self.spans.complete(PHASE, 0, begin, end, "step", {k: v for k, v in counts.items()
                                                              if v or k not in ("padding_tokens", "filler_tokens")})

    def tell_token(self, row: Row, begin: int, end: int) -> None:
        if len(row.made) == 1:
            self.spans.complete(PREFILL, row.span, begin, end)
        self.spans.complete(TOKEN, row.span, begin, end)

    def close(self, row: Row, status: int, finish: str, error: Optional[str] = None) -> None:
        if len(row.made) > 1:
            self.spans.complete(DECODE, row.span, row.first_ns, row.last_ns)
        counts = row.counts()
        if status == FAILED and not row.made:
            del counts["output_tokens"]
        for name in self.totals:
            self.totals[name] += counts.get(name, 0)
        attributes = {"finish": finish}
        if error is not None:
            attributes["error"] = error
        elif row.prompt.keep_output:
            attributes["answer"] = self.engine.text_of(row.text_tokens())
        self.spans.tell(row.span, counts, attributes)
        self.spans.end(row.span, status)

    def finish(self, row: Row) -> Dict[str, Any]:
        self.close(row, OK, row.finish)
        return self.result(row)

    def fail(self, span: int, asked: Prompt, failure: Failure, row: Optional[Row]) -> Dict[str, Any]:
        if row is not None:
            self.close(row, FAILED, "error", failure.message)
        else:
            self.spans.tell(span, attributes={"finish": "error", "error": failure.message})
            self.spans.end(span, FAILED)
        return self.error(failure.code, failure.message, asked.id)

    def result(self, row: Row) -> Dict[str, Any]:
        told: Dict[str, Any] = {"type": "result", "id": row.prompt.id, "prompt_tokens": len(row.tokens),
                                "output_tokens": len(row.made), "finish": row.finish}
        if row.first_ns:
            told["ttft_ns"] = row.first_ns - row.asked_ns
        if len(row.made) > 1:
            told["decode_ns"] = row.last_ns - row.first_ns
        if row.context_full:
            told["context_full"] = True
        if row.rows_together > 1:
            told.update(padding_tokens=row.padding, filler_tokens=row.filler)
        if row.prompt.keep_output or row.prompt.return_text:
            told["text"] = self.engine.text_of(row.text_tokens())
        return told

    def misbehave(self, asked: Prompt, span: int) -> Optional[Dict[str, Any]]:
        """The reply of a prompt that was replaced by a fault."""
        kind, number = self.fault
        if self.prompts != number or not kind:
            return None
        if kind == "crash-at":
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it is meant: no core file
            os.abort()
        while kind == "hang-at":
            signal.pause()
        if kind == "error-at":
            return self.fail(span, asked, Failure("internal", "a fault was asked for"), None)
        if kind == "garbage-at":
            self.spans.tell(span, attributes={"finish": "error"})
            self.spans.end(span, FAILED)
            self._say("this is not JSON")
            return self.error("internal", "a fault was asked for", asked.id)
        return None
