"""A management controller that is none: Redfish with sessions, chassis and power, from a power known at every moment.
Faults (bmc.fault = …) as of fake_plug.py, and "expire": every session ends now.

    with FakeRedfish(password="x", tls=(certificate, key)) as bmc:  … bmc.url …
"""

import http.server
import json
import os
import subprocess
import time

from fake_plug import Power, Serving

ROOT = "/redfish/v1"


def make_certificate(folder, name="127.0.0.1"):
    """A certificate of its own for that address; (certificate, key), or None where there is no openssl."""
    certificate, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subject = ("IP:" if name[0].isdigit() else "DNS:") + name
    try:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", key, "-out", certificate, "-days", "2", "-subj", f"/CN={name}", "-addext",
                        f"subjectAltName={subject}"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return certificate, key


class FakeRedfish(Serving):
    def __init__(self, power=None, password=None, tls=None, form="metrics", chassis=("1",), sessions=True, renews_s=None):
        self.renews_s = renews_s  # it says what held at the last multiple of this; None: at the moment
        self.power, self.password, self.form, self.chassis = power or Power(300, 0), password, form, chassis
        self.has_sessions, self.sessions, self.opened, self.closed = sessions, {}, 0, 0
        self.since_s, self.fault, self.requests = time.monotonic(), None, 0
        self.serve(http.server.ThreadingHTTPServer, type("Handler", (_Handler,), {"bmc": self}), tls)
        self.url = f"redfish{'' if tls else '+http'}://127.0.0.1:{self.port}"

    def expire(self):
        self.sessions.clear()

    def answer(self, path):
        now = time.monotonic()
        if self.renews_s:
            now = max(self.since_s, now // self.renews_s * self.renews_s)
        watts = self.power.watts(now)
        kwh = 12 + self.power.joules(self.since_s, now) / 3.6e6
        link = lambda name: {"@odata.id": name}  # noqa: E731
        pages = {ROOT + "/": {"Chassis": link(ROOT + "/Chassis"), "Name": "Root", "RedfishVersion": "1.15.0"},
                 ROOT + "/Chassis": {"Members": [link(f"{ROOT}/Chassis/{c}") for c in ("Empty",) + self.chassis]},
                 ROOT + "/Chassis/Empty": {"Id": "Empty", "Name": "a box without power"}}
        for one in self.chassis:
            at = f"{ROOT}/Chassis/{one}"
            pages[at] = {"Id": one, "Power": link(at + "/Power"), "Sensors": link(at + "/Sensors")}
            if self.form == "metrics":
                pages[at]["EnvironmentMetrics"] = link(at + "/EnvironmentMetrics")
                pages[at + "/EnvironmentMetrics"] = {"PowerWatts": {"Reading": round(watts, 1)},
                                                     "EnergykWh": {"Reading": round(kwh, 6)}}
            if self.form == "power":
                pages[at + "/Power"] = {"PowerControl": [{"MemberId": "0", "PowerConsumedWatts": round(watts),
                                                          "PowerCapacityWatts": 1600},
                                                         {"MemberId": "1", "PowerConsumedWatts": 9}]}
            if self.form == "sensors":
                pages[at + "/Sensors"] = {"Members": [link(at + "/Sensors/fan_power"), link(at + "/Sensors/TotalPower")]}
                pages[at + "/Sensors/fan_power"] = {"ReadingUnits": "W", "Reading": 3}
                pages[at + "/Sensors/TotalPower"] = {"ReadingUnits": "W", "Reading": round(watts, 1)}
        return pages.get(path)


class _Handler(http.server.BaseHTTPRequestHandler):
    bmc = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, status, what, headers=()):
        body = what if isinstance(what, bytes) else json.dumps(what).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def allowed(self):
        import base64
        if not self.bmc.password or self.headers.get("X-Auth-Token") in self.bmc.sessions:
            return True
        basic = "Basic " + base64.b64encode(f"root:{self.bmc.password}".encode()).decode()
        return not self.bmc.has_sessions and self.headers.get("Authorization") == basic

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        if not self.bmc.has_sessions:
            return self.send(405, {})
        if body != {"UserName": "root", "Password": self.bmc.password}:
            return self.send(401, {})
        self.bmc.opened += 1
        token = f"token-{self.bmc.opened}"
        self.bmc.sessions[token] = f"{ROOT}/SessionService/Sessions/{self.bmc.opened}"
        return self.send(201, {}, [("X-Auth-Token", token), ("Location", self.bmc.sessions[token])])

    def do_DELETE(self):
        if self.allowed():
            self.bmc.closed += 1
            self.bmc.sessions = {t: at for t, at in self.bmc.sessions.items() if at != self.path}
        self.send(204, b"")

    def do_GET(self):
        bmc = self.bmc
        bmc.requests += 1
        try:
            if bmc.fault == "hang":
                bmc.closing.wait(60)
                self.close_connection = True
            elif bmc.fault == "half":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"PowerWatts": {"Rea')
                self.close_connection = True
            elif bmc.fault == "rubbish":
                self.send(200, b"<html>\xff\x00 welcome")
            elif bmc.fault == "huge":
                self.send(200, b"[" * (8 << 20))
            elif bmc.fault == "redirect":
                self.send(302, b"", [("Location", self.path)])
            elif self.path != ROOT + "/" and not self.allowed():
                self.send(401, {}, [] if bmc.has_sessions else [("WWW-Authenticate", 'Basic realm="bmc"')])
            else:
                page = bmc.answer(self.path)
                self.send(404 if page is None else 200, page or {})
        except OSError:
            self.close_connection = True
