"""A plug of TP-Link that is none, with the firmware that answers only behind KLAP: the handshake in both its forms, then
encrypted questions and answers, from a power known at every moment. Digests are Python's, AES is the program openssl's; what
it speaks was written from kasa/transports/klaptransport.py of python-kasa, which is held against it too.

    with FakeKlap("tapo", user="me@example.org", password="x") as plug:  … plug.url …

Kinds: tapo (second form; get_emeter_data), tapo-old (second form; get_energy_usage alone), kasa (first form; emeter), kasa-new
(second form; emeter). Without a user it is a plug that nobody tied to an account. Faults (plug.fault = …): "hang",
"rubbish", "newer" (it refuses KLAP), "once" (a session ends with its first question).
"""

import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import time

from fake_plug import Power, Serving

KINDS = ("tapo", "tapo-old", "kasa", "kasa-new")


def why_not():
    return None if shutil.which("openssl") else "openssl is not installed"


def _digest(name, *parts):
    return hashlib.new(name, b"".join(parts)).digest()


def _aes(key, first_block, data, *options):
    done = subprocess.run(["openssl", "enc", "-aes-128-cbc", "-K", key.hex(), "-iv", first_block.hex(), *options], input=data,
                          capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


class FakeKlap(Serving):
    def __init__(self, kind="tapo", user="", password="", power=None, host="127.0.0.1", port=0):
        self.kind, self.power, self.fault = kind, power or Power(), None
        self.second = kind != "kasa"
        inner, outer = ("sha1", "sha256") if self.second else ("md5", "md5")
        self.owner = _digest(outer, _digest(inner, user.encode()), _digest(inner, password.encode()))
        self.sessions, self.handshakes, self.asked = {}, 0, []
        self.since_s = time.monotonic()
        self.serve(http.server.ThreadingHTTPServer, type("Handler", (_Handler,), {"plug": self}), at=(host, port))
        self.url = f"tapo://127.0.0.1:{self.port}"

    def expire(self):
        self.sessions.clear()

    def answer(self, question):
        milliwatts = round(self.power.watts(time.monotonic()) * 1000)
        if self.kind.startswith("kasa"):
            if question == {"emeter": {"get_realtime": {}}}:
                joules = self.power.joules(self.since_s, time.monotonic())
                return {"emeter": {"get_realtime": {"voltage_mv": 230100, "current_ma": 435, "power_mw": milliwatts,
                                                    "total_wh": 2000 + int(joules / 3600), "err_code": 0}}}
            return {name: {"err_code": -1, "err_msg": "module not support"} for name in question}
        if question.get("method") == "get_emeter_data" and self.kind == "tapo":
            return {"result": {"current_ma": 435, "energy_wh": 2000, "power_mw": milliwatts, "voltage_mv": 230100},
                    "error_code": 0}
        if question.get("method") == "get_energy_usage":
            return {"result": {"today_runtime": 10, "today_energy": 5, "month_energy": 70, "current_power": milliwatts,
                               "local_time": "2026-01-01 00:00:00"}, "error_code": 0}
        return {"error_code": -1001}


class _Session:
    def __init__(self, local, remote, owner):
        seeds = local + remote + owner
        self.local, self.remote, self.owner, self.proven = local, remote, owner, False
        self.key, self.sign = _digest("sha256", b"lsk", seeds)[:16], _digest("sha256", b"ldk", seeds)[:28]
        self.block = _digest("sha256", b"iv", seeds)
        self.last = int.from_bytes(self.block[-4:], "big", signed=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    plug = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.send(200, b"200 OK") if self.path == "/" else self.send(404)

    def do_POST(self):
        plug = self.plug
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            if plug.fault == "hang":
                plug.closing.wait(60)
                self.close_connection = True
            elif plug.fault == "newer":
                self.send(403)
            elif plug.fault == "rubbish":
                self.send(200, b"<html>\xff\x00 welcome")
            elif self.path == "/app/handshake1" and len(body) == 16:
                self.begin(body)
            else:
                found = re.search(r"TP_SESSIONID=(\w+)", self.headers.get("Cookie", ""))
                session = plug.sessions.get(found.group(1)) if found else None
                if session is None or "TIMEOUT" in self.headers.get("Cookie", ""):
                    self.send(403)
                elif self.path == "/app/handshake2":
                    self.prove(session, body)
                else:
                    self.talk(session, body, found.group(1))
        except OSError:
            self.close_connection = True

    def begin(self, local):
        plug, remote = self.plug, os.urandom(16)
        name = os.urandom(16).hex().upper()
        plug.sessions[name] = _Session(local, remote, plug.owner)
        plug.handshakes += 1
        proof = _digest("sha256", local, *([remote] if plug.second else []), plug.owner)
        self.send(200, remote + proof, [("Set-Cookie", f"TP_SESSIONID={name};TIMEOUT=86400")])

    def prove(self, session, proof):
        wanted = _digest("sha256", session.remote, *([session.local] if self.plug.second else []), session.owner)
        session.proven = proof == wanted
        self.send(200 if session.proven else 403)

    def talk(self, session, body, name):
        found = re.fullmatch(r"/app/request\?seq=(-?\d+)", self.path)
        if not session.proven or not found or not session.last < int(found.group(1)) <= session.last + 10:
            return self.send(403)
        session.last = int(found.group(1))
        number = session.last.to_bytes(4, "big", signed=True)
        first_block = session.block[:12] + number
        question = _aes(session.key, first_block, body[32:], "-d")
        if body[:32] != _digest("sha256", session.sign, number, body[32:]) or question is None:
            return self.send(403)
        self.plug.asked.append(json.loads(question))
        hidden = _aes(session.key, first_block, json.dumps(self.plug.answer(json.loads(question))).encode())
        if self.plug.fault == "once":
            self.plug.sessions.pop(name, None)
        return self.send(200, _digest("sha256", session.sign, number, hidden) + hidden)
