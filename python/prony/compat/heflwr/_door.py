"""The HTTP server of PrometheusMonitor: a few connections at a time, each for a bounded time, and no pages of others."""

from __future__ import annotations

import http.server
import ipaddress
import re
import socket
import threading
from typing import Any, Callable, Optional

_CONNECTIONS = 32
_LENGTH_S = 20.0  # of a connection, however slowly it sends


def host_of(authority: str) -> Optional[str]:
    """The host of "box:8003" or "[::1]:8003", in small letters; None: there is none."""
    found = re.fullmatch(r"\s*(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/\\@?#\[\]]+?)\.?)(?::\d*)?\s*", authority)
    return (found.group(1) or found.group(2)).lower() if found else None


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def meant(listens_on: str, host: Optional[str], origin: Optional[str]) -> bool:
    """Whether a request with these headers comes from no page in a browser that has this machine's address under another
    name, or is somebody else's."""
    name = host_of(host) if host is not None else None
    if _loopback(listens_on) and host is not None and (name is None or not (_loopback(name) or name == socket.gethostname().lower())):
        return False
    if origin is None:
        return True
    page = host_of(origin.split("://", 1)[1]) if "://" in origin else None
    return page is not None and page == name


class Server(http.server.ThreadingHTTPServer):
    """Answers with what `answer` gives for a path; None: there is nothing."""

    daemon_threads = True

    def __init__(self, address: str, port: int, answer: Callable[[str], Optional[bytes]]) -> None:
        self.answer = answer
        self.listens_on = address
        self._places = threading.BoundedSemaphore(_CONNECTIONS)
        super().__init__((address, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)  # nobody is kept waiting behind those who say nothing
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        end = threading.Timer(_LENGTH_S, self._cut, (request,))
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._places.release()

    @staticmethod
    def _cut(request: socket.socket) -> None:
        try:
            request.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended meanwhile

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = 10  # a client that says nothing is let go
    server: Server

    def do_GET(self) -> None:
        body = self.server.answer(self.path.split("?", 1)[0])
        status = 200 if body is not None else 404
        if not meant(self.server.listens_on, self.headers.get("Host"), self.headers.get("Origin")):
            status, body = 421, b"this is asked for by another name, or from somebody else's page\n"
        body = b"only /metrics is here\n" if body is None else body
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Prints nothing."""
