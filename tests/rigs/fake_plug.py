"""A plug with a meter that is none: answers as Shelly (two generations), Tasmota or Kasa do, from a power that is known
at every moment, and misbehaves when told to. Only the standard library.

    with FakePlug("shelly2", power=lambda t: 100.0) as plug:
        … plug.url …  plug.joules(begin_s, end_s)

Times are seconds of CLOCK_MONOTONIC, the clock of Runs. Faults (plug.fault = …): "hang", "half", "rubbish", "huge",
"redirect", "error", "close", "drip"; plug.reset() sets its counter to zero as a power cut does.
"""

import http.server
import json
import math
import socket
import socketserver
import ssl
import struct
import threading
import time

KINDS = ("shelly1", "shelly2", "tasmota", "kasa")


class Power:
    """mean + swing × sin(2πt/period): watts at a time and joules between two, both exact."""

    def __init__(self, mean_w=100.0, swing_w=20.0, period_s=7.0):
        self.mean_w, self.swing_w, self.period_s = mean_w, swing_w, period_s

    def watts(self, at_s):
        return self.mean_w + self.swing_w * math.sin(2 * math.pi * at_s / self.period_s)

    def joules(self, begin_s, end_s):
        turn = self.period_s / (2 * math.pi)
        waves = turn * (math.cos(begin_s / turn) - math.cos(end_s / turn))
        return self.mean_w * (end_s - begin_s) + self.swing_w * waves


class Serving:
    """A server of a rig on a port of this machine (0: a free one), from serve() until close()."""

    def serve(self, server, handler, tls=None, at=("127.0.0.1", 0)):
        self.closing = threading.Event()
        server.allow_reuse_address = True
        self.server = server(at, handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.port = self.server.server_address[1]
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    def joules(self, begin_s, end_s):
        return self.power.joules(begin_s, end_s)


class FakePlug(Serving):
    def __init__(self, kind, power=None, password=None, before_j=7_200_000.0, tls=None):
        self.kind, self.power, self.password = kind, power or Power(), password
        self.before_j, self.since_s = before_j, time.monotonic()
        self.fault = None
        self.requests = 0
        self.paths = []
        handler = type("Handler", (_Kasa if kind == "kasa" else _Http,), {"plug": self})
        self.serve(socketserver.ThreadingTCPServer if kind == "kasa" else http.server.ThreadingHTTPServer, handler, tls)
        scheme = {"shelly1": "shelly", "shelly2": "shelly"}.get(kind, kind) + ("+https" if tls else "")
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    def total_j(self):
        return self.before_j + self.power.joules(self.since_s, time.monotonic())

    def reset(self):
        self.before_j, self.since_s = 0.0, time.monotonic()

    def answer(self, path):
        """(status, what) of a path; what is turned into JSON."""
        watts, total_j = self.power.watts(time.monotonic()), self.total_j()
        if self.kind == "shelly1":
            meter = {"power": round(watts, 2), "overpower": 0.0, "is_valid": True, "timestamp": 1700000000,
                     "counters": [1.0, 2.0, 3.0], "total": int(total_j / 60)}
            return {"/shelly": (200, {"type": "SHPLG-S", "mac": "AABBCCDDEEFF", "auth": bool(self.password)}),
                    "/status": (200, {"relays": [{"ison": True}], "meters": [meter], "uptime": 5}),
                    "/meter/0": (200, meter)}.get(path, (404, {}))
        if self.kind == "shelly2":
            switch = {"id": 0, "output": True, "apower": round(watts, 1), "voltage": 230.1, "current": 0.4,
                      "aenergy": {"total": math.floor(total_j / 3.6) / 1000, "by_minute": [1, 2, 3],
                                  "minute_ts": 1700000000}}
            return {"/shelly": (200, {"id": "shellyplusplugs-x", "gen": 2, "auth_en": bool(self.password)}),
                    "/rpc/Shelly.GetStatus": (200, {"sys": {"uptime": 5}, "switch:0": switch, "wifi": {"rssi": -50}}),
                    "/rpc/Switch.GetStatus?id=0": (200, switch)}.get(path, (404, {}))
        total_kwh = math.floor(total_j / 3600) / 1000
        energy = {"TotalStartTime": "2026-01-01T00:00:00", "Total": total_kwh, "Yesterday": 0.5, "Today": 0.1,
                  "Power": round(watts), "Voltage": 230, "Current": 0.435}
        status = {"StatusSNS": {"Time": "2026-01-01T00:00:00", "ENERGY": energy}}
        return (200, status) if path.startswith("/cm?cmnd=Status%208") else (404, {})


class _Http(http.server.BaseHTTPRequestHandler):
    plug = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def allowed(self):
        if not self.plug.password:
            return True
        if self.plug.kind == "tasmota":
            return f"&user=admin&password={self.plug.password}" in self.path
        import base64
        wanted = "Basic " + base64.b64encode(f"admin:{self.plug.password}".encode()).decode()
        return self.headers.get("Authorization") == wanted

    def send(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        plug = self.plug
        plug.requests += 1
        plug.paths.append(self.path)
        fault = plug.fault
        try:
            if fault == "hang":
                plug.closing.wait(60)
                self.close_connection = True
            elif fault == "close":
                self.close_connection = True
            elif fault == "half":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"power": 12.')
                self.close_connection = True
            elif fault == "drip":
                self.send_response(200)
                self.send_header("Content-Length", "100000")
                self.end_headers()
                while not plug.closing.wait(0.2):
                    self.wfile.write(b" ")
            elif fault == "rubbish":
                self.send(200, b"<html>\xff\x00 welcome")
            elif fault == "huge":
                self.send_response(200)
                self.end_headers()
                for _ in range(4096):
                    self.wfile.write(b"[" * 65536)
                self.close_connection = True
            elif fault == "redirect":
                self.send(302, b"", [("Location", f"http://127.0.0.1:{plug.port}/again")])
            elif fault == "error":
                self.send(500, b"{}")
            elif not self.allowed():
                if plug.kind == "tasmota":
                    self.send(200, b'{"WARNING":"Need user=<username>&password=<password>"}')
                else:
                    self.send(401, b"", [("WWW-Authenticate", 'Basic realm="plug"')])
            else:
                status, what = plug.answer(self.path)
                self.send(status, json.dumps(what).encode())
        except OSError:
            self.close_connection = True


def kasa_crypt(data, to_wire):
    key, out = 171, bytearray()
    for byte in data:
        out.append(byte ^ key)
        key = out[-1] if to_wire else byte
    return bytes(out)


class _Kasa(socketserver.BaseRequestHandler):
    plug = None

    def handle(self):
        plug = self.plug
        plug.requests += 1
        try:
            size = struct.unpack(">I", self.request.recv(4, socket.MSG_WAITALL))[0]
            asked = json.loads(kasa_crypt(self.request.recv(size, socket.MSG_WAITALL), False))
            assert asked == {"emeter": {"get_realtime": {}}}, asked
            if plug.fault == "hang":
                plug.closing.wait(60)
                return
            now = {"voltage_mv": 230100, "current_ma": 435, "power_mw": round(plug.power.watts(time.monotonic()) * 1000),
                   "total_wh": int(plug.total_j() / 3600), "err_code": 0}
            answer = kasa_crypt(json.dumps({"emeter": {"get_realtime": now}}).encode(), True)
            if plug.fault == "half":
                self.request.sendall(struct.pack(">I", len(answer)) + answer[:10])
            elif plug.fault == "huge":
                self.request.sendall(struct.pack(">I", 0xFFFFFFF0) + answer)
            elif plug.fault == "rubbish":
                self.request.sendall(struct.pack(">I", len(answer)) + bytes(len(answer)))
            else:
                self.request.sendall(struct.pack(">I", len(answer)) + answer)
        except (OSError, struct.error):
            pass
