#!/usr/bin/env python3
"""A worker of docs/worker-protocol.md that burns CPU instead of running a model. LIBPRONY may name libprony.so."""
import ctypes, json, os, sys, time

PHASE, REQUEST, PREFILL, DECODE, TOKEN = 1, 2, 4, 5, 6  # enum prony_span_kind
out = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)  # whatever else prints must not disturb the protocol
lib = None
if "PRONY_SPANS" in os.environ:  # else nobody records
    from prony_ctypes import _lib as lib
    lib.prony_span_complete.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_int64, ctypes.c_int64]

def say(**message):
    out.write(json.dumps(message) + "\n")
    out.flush()

begin = lambda kind, name: lib.prony_span_begin(kind, name.encode(), 0) if lib else 0

def burn():  # one "token": 2 ms of CPU; returns the time at its end, on the clock that spans use
    end = time.process_time() + 0.002
    while time.process_time() < end: pass
    return time.monotonic_ns()

def answer(m, span):
    prompt, count = m["text"].split(), int(m.get("max_tokens", 128))
    start = time.monotonic_ns()
    ends = [burn() for _ in range(count)]
    edges = list(zip([start] + ends, ends))
    if lib and span:
        lib.prony_span_complete(PREFILL, None, span, *edges[0])
        for first, last in edges:
            lib.prony_span_complete(TOKEN, None, span, first, last)
        if count > 1:
            lib.prony_span_complete(DECODE, None, span, ends[0], ends[-1])
        lib.prony_span_count(span, b"prompt_tokens", len(prompt))
        lib.prony_span_count(span, b"output_tokens", count)
        lib.prony_span_attribute(span, b"prompt", m["text"].encode())
        lib.prony_span_attribute(span, b"finish", b"length")
    say(type="result", id=m["id"], prompt_tokens=len(prompt), output_tokens=count, finish="length",
        ttft_ns=ends[0] - start, decode_ns=ends[-1] - ends[0], text=" ".join(["burn"] * count))

say(type="hello", protocol=1, worker="python_worker.py", version="1", engine="cpu-burner", engine_version="1",
    capabilities=["prompt", "phase"])
for line in sys.stdin:
    try:
        m = json.loads(line)
        kind = m["type"]
        if kind == "load":
            say(type="loaded", facts={"model.name": os.path.basename(m["model"])})
        elif kind == "prompt":
            warm_up = m.get("warm_up", False)
            span = begin(PHASE, "warm-up") if warm_up else begin(REQUEST, m["id"])
            answer(m, 0 if warm_up else span)
            if lib: lib.prony_span_end(span, 0)
        elif kind == "phase":
            span = begin(PHASE, m["name"])
            time.sleep(m["ms"] / 1000)
            if lib: lib.prony_span_end(span, 0)
            say(type="done", name=m["name"])
        elif kind == "stop":
            break
        elif kind != "cancel":  # this worker cannot cancel: it ends when its input does
            say(type="error", error={"code": "unsupported", "message": "unknown type " + str(kind)})
    except (ValueError, KeyError, TypeError) as problem:
        say(type="error", error={"code": "protocol", "message": repr(problem)})
say(type="bye")
