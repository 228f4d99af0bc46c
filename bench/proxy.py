"""What `prony proxy` adds to a request: round trips on kept connections, in turn straight to a server and through the proxy
beside its meter. The server answers at once, so that all of what is seen is the way there and back."""
import os
import re
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TURNS, PER_TURN = 40, 100
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n"
BODY = b'{"model":"tiny","response":"word","done":true,"done_reason":"length","prompt_eval_count":5,"eval_count":1}\n'
ASK = b'{"model":"tiny","prompt":"Say something."}'
REQUEST = b"POST /api/generate HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s" % (len(ASK), ASK)
ANSWER = HEAD % len(BODY) + BODY


class NotMeasured(Exception):
    pass


def serve(listener):
    """Every request of every connection has its answer at once."""
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ)
                continue
            try:
                data = key.fileobj.recv(65536)
            except OSError:
                data = b""
            if not data:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                continue
            key.fileobj.sendall(ANSWER if data.endswith(ASK) else b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")


def round_trips(connection, count):
    each = []
    for _ in range(count):
        begin = time.perf_counter_ns()
        connection.sendall(REQUEST)
        got = 0
        while got < len(ANSWER):
            got += len(connection.recv(65536))
        each.append(time.perf_counter_ns() - begin)
    return each


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def started(prony, port, scratch):
    errors = tempfile.TemporaryFile(dir=scratch)
    process = subprocess.Popen([prony, "proxy", "--to", f"http://127.0.0.1:{port}", "--listen", "127.0.0.1:0", "--out",
                                os.path.join(scratch, "proxy.prony"), "--log", os.path.join(scratch, "proxy.jsonl")],
                               stdout=subprocess.DEVNULL, stderr=errors, stdin=subprocess.DEVNULL, cwd=scratch)
    for _ in range(300):
        errors.seek(0)
        said = errors.read().decode()
        found = re.search(r"passes on from \S+ (\d+) to", said)
        if found:
            return process, int(found.group(1))
        if process.poll() is not None:
            break
        time.sleep(0.1)
    process.kill()
    raise NotMeasured(f"prony proxy did not begin: {said[-200:]}")


def measure(prony, scratch):
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    server = os.fork()
    if server == 0:
        try:
            serve(listener)
        finally:
            os._exit(0)
    port = listener.getsockname()[1]
    listener.close()
    process = None
    try:
        process, through = started(prony, port, scratch)
        straight, proxied = connect(port), connect(through)
        round_trips(straight, 50), round_trips(proxied, 50)
        direct, passed, ratios = [], [], []
        for _ in range(TURNS):  # in turn: what disturbs one disturbs the other
            one, other = round_trips(straight, PER_TURN), round_trips(proxied, PER_TURN)
            direct += one
            passed += other
            ratios.append(statistics.median(other) / statistics.median(one))
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)
    def us(values, q):
        return statistics.quantiles(values, n=100)[q - 1] / 1e3
    added = us(passed, 50) - us(direct, 50)
    return [("what `prony proxy` adds to a request, p50", f"{added:.0f} µs", "≤ 200 µs", added <= 200,
             f"{len(direct)} round trips each on kept connections of the loopback, in turns of {PER_TURN}, the meter beside it; "
             f"p50 {us(passed, 50):.0f} against {us(direct, 50):.0f} µs, p99 {us(passed, 99):.0f} against {us(direct, 99):.0f} µs; "
             f"through it ÷ straight {statistics.median(ratios):.2f} (turns {min(ratios):.2f}–{max(ratios):.2f})")]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(os.path.abspath(sys.argv[1]), folder):
            print(" | ".join(str(part) for part in row))
