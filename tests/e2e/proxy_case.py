"""What the suites of `prony proxy` and `prony merge` share: raw servers, raw clients, starting and stopping a proxy."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

from harness import Case, program


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Raw:
    """Says what a script says: script(connection, request bytes so far)."""

    def __init__(self, script):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1100)
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.script = script
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            try:
                self.script(connection)
            except OSError:
                pass

    def close(self):
        self.socket.close()


def head_of(connection):
    """The head of a request, and what came of its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None, b""
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def post(path, body, headers=""):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Length: {len(data)}\r\n\r\n".encode() + data


def exchange(port, data, close=False, timeout=20):
    """All bytes that come back until the other side closes, or says nothing for a while."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as client:
        client.sendall(data)
        if close:
            client.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while (more := client.recv(65536)):
                answer += more
                if answer.endswith((b"0\r\n\r\n", b"}")) and not close:
                    break
        except ConnectionError:
            answer += b"<reset>"
        return answer


class ProxyCase(Case):
    def server(self, made):
        self.addCleanup(made.close)
        return made

    def proxy(self, url, *options, listen="127.0.0.1:0", env=None):
        """Starts one; gives (process, port). Stopped at the end of the test, and the relay with it."""
        errors = open(self.path(f"err{len(os.listdir(self.folder))}"), "w+b")
        self.addCleanup(errors.close)
        process = subprocess.Popen([program("prony"), "proxy", "--to", url, "--listen", listen, "--out", self.path("p.prony"),
                                    "--log", self.path("log.jsonl"), *options], stderr=errors, stdout=subprocess.DEVNULL,
                                   stdin=subprocess.DEVNULL, cwd=self.folder, env=self.environment(**(env or {})))
        self.addCleanup(self.stop, process)
        found = None
        for _ in range(600):
            with open(errors.name, encoding="utf-8") as file:
                self.said = file.read()
            found = re.search(r"passes on from \S+ (\d+) to", self.said)
            if found or process.poll() is not None:
                break
            time.sleep(0.05)
        self.assertIsNotNone(found, self.said)
        self.errors = errors.name
        relays = [int(pid) for pid in subprocess.run(["pgrep", "-P", str(process.pid), "prony-proxy"], capture_output=True,
                                                     text=True, check=False).stdout.split()]
        process.relay = relays[0]
        self.addCleanup(self.kill, process.relay)
        return process, int(found.group(1))

    @staticmethod
    def kill(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def stop(self, process):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return process.returncode

    def finished(self, process):
        """Stops it; the log's lines and the requests of the Run, by number."""
        code = self.stop(process)
        with open(self.errors, encoding="utf-8") as file:
            self.assertEqual(code, 0, file.read())
        with open(self.path("log.jsonl"), encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.assertIn("prony_proxy_log", lines[0])
        spans = [s for s in self.table("p.prony", "spans") if s["kind"] == "request"]
        return {line["n"]: line for line in lines[1:]}, {int(s["name"].split("#")[1]): s for s in spans}


def exchange_json(port, server):
    server.script = lambda connection: (head_of(connection), connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
    return exchange(port, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
