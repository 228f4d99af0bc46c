"""A worker of docs/worker-protocol.md that stands in for ONNX Runtime: each node of a file takes so long and so many joules
as a table says, and what was used so far is written where the FUSE rig's package reads it (live_feed.hpp).

usage: layers_worker.py FEED LOG    LOG gets the name of each series of runs when it is over, and "end"
The engine's graph is the file itself. Joules go with the work that is done, so a machine that stalls changes no truth.
"""

import ctypes
import json
import mmap
import os
import struct
import sys
import threading
import time

IDLE_W = 4.0
RUN_S = 0.001  # of each node


def fields(data):
    """Fields of a protobuf message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 2:
            size = varint()
            yield key >> 3, data[at:at + size]
            at += size
        else:
            size = 4 if key & 7 == 5 else 8
            yield key >> 3, data[at:at + size]
            at += size


def nodes_of(path):
    """Names and operators of the nodes, in order."""
    with open(path, "rb") as file:
        graph = next(value for number, value in fields(file.read()) if number == 7)
    nodes = [dict(fields(value)) for number, value in fields(graph) if number == 1]
    return [(node[3].decode(), node[4].decode()) for node in nodes]


def tensors_of(path):
    with open(path, "rb") as file:
        graph = next(value for number, value in fields(file.read()) if number == 7)
    return sorted({dict(fields(value))[1].decode() for number, value in fields(graph) if number in (11, 12)})


def above_idle_j(name):
    """Of one run of a node: 5 to 30 mJ, another for each name."""
    return 0.005 + 0.001 * (sum(name.split("/again-")[0].encode()) * 7 % 26)


class Feed:
    """Joules used so far: idle ones go with time, those of work with the work."""

    def __init__(self, path):
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 8)
        self.base_nj = struct.unpack("<Q", self.memory[:])[0]  # a worker before this one: the counter never falls
        self.begin, self.done_j, self.work = time.monotonic(), 0.0, None
        threading.Thread(target=self.keep, daemon=True).start()

    def write(self):
        now, work = time.monotonic(), self.work
        used = self.done_j if work is None else work[2] + work[1] * min(1, (now - work[0]) / work[3])
        self.memory[:] = struct.pack("<Q", self.base_nj + int((IDLE_W * (now - self.begin) + used) * 1e9))

    def keep(self):
        while True:
            self.write()
            time.sleep(0.002)

    def run(self, joules, seconds):
        self.work = (time.monotonic(), joules, self.done_j, seconds)
        time.sleep(seconds)
        self.done_j += joules
        self.work = None


def main():
    feed, log = Feed(sys.argv[1]), open(sys.argv[2], "a", encoding="utf-8")
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    lib = ctypes.CDLL(os.environ["LIBPRONY"])
    lib.prony_span_begin.restype = ctypes.c_uint64
    lib.prony_span_begin.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint64]
    lib.prony_span_end.argtypes = [ctypes.c_uint64, ctypes.c_int]
    lib.prony_span_count.argtypes = [ctypes.c_uint64, ctypes.c_char_p, ctypes.c_int64]
    lib.prony_open(None)

    def say(**message):
        out.write(json.dumps(message) + "\n")
        out.flush()

    say(type="hello", protocol=1, worker="layers_worker.py", version="1", engine="stand-in", engine_version="1",
        capabilities=["infer", "isolate", "phase"])
    nodes = []
    for line in sys.stdin:
        m = json.loads(line)
        if m["type"] == "load":
            nodes, model = nodes_of(m["model"]), m["model"]
            if all(name.split("/again-")[0] == os.environ.get("REFUSED") for name, _ in nodes):
                say(type="error", error={"code": "model", "message": "no kernel for it"})
                continue
            told = {"tensors": [{"name": one, "type": 1, "shape": [1, 2]} for one in tensors_of(model)]}
            say(type="loaded", facts={}, **(told if m.get("keep_outputs") else {}))
        elif m["type"] == "infer":
            runs, seconds = m["runs"], RUN_S * len(nodes)
            span = lib.prony_span_begin(1, m["id"].encode(), 0)
            lib.prony_span_count(span, b"runs", runs)
            feed.run(runs * sum(above_idle_j(name) for name, _ in nodes), runs * seconds)
            lib.prony_span_end(span, 0)
            told = {}
            if "profile" in m:
                with open(model, "rb") as whole, open(m["optimised"], "wb") as copy:
                    copy.write(whole.read())
                told = {"nodes": [{"name": name, "op": op, "durations_us": [int(RUN_S * 1e6)] * runs} for name, op in nodes]}
            say(type="result", id=m["id"], durations_ns=[int(seconds * 1e9)] * runs, **told)
            log.write(m["id"] + "\n")
            log.flush()
        elif m["type"] == "phase":
            span = lib.prony_span_begin(1, m["name"].encode(), 0)
            time.sleep(m["ms"] / 1000)
            lib.prony_span_end(span, 0)
            say(type="done", name=m["name"])
        elif m["type"] == "stop":
            say(type="bye")
            return


if __name__ == "__main__":
    try:
        main()
    finally:
        with open(sys.argv[2], "a", encoding="utf-8") as end:
            end.write("end\n")
