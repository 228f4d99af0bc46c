"""Posts forms to a server, again where it failed, from a thread of its own."""

from __future__ import annotations

import collections
import http.client
import os
import ssl
import threading
import urllib.parse
import uuid
from typing import Any, Deque, Dict, NamedTuple, Optional, Union

Path = Union[str, "os.PathLike[str]"]


class Server(NamedTuple):
    """Whom forms are posted to."""

    name: str
    port: int
    tls: Optional[ssl.SSLContext]
    token_file: Optional[Path]


def server_of(host: str, token_file: Optional[Path] = None, ca: Optional[Path] = None) -> Server:
    """"127.0.0.1:5000" (port 80 where none is said), http://… or https://… (443). ``token_file``: its first line is shown as
    a token. ``ca``: certificates to trust instead of the system's."""
    parts = urllib.parse.urlsplit("//" + host if "//" not in host else host)
    if not parts.hostname or parts.scheme not in ("", "http", "https") or "@" in parts.netloc:
        raise ValueError(f"host={parts.netloc.rpartition('@')[2]!r}: a name or address and a port, like 127.0.0.1:5000 or "
                         "https://collector:9787; a password does not belong into it")
    tls = parts.scheme == "https"
    if ca is not None and not tls:
        raise ValueError(f"ca={os.fspath(ca)!r} is for https:// alone")
    here = parts.hostname in ("localhost", "::1") or parts.hostname.startswith("127.")
    if token_file is not None:
        if not tls and not here:
            raise ValueError("without https:// everybody on the way could read the token and use it")
        read_token(token_file)
    return Server(parts.hostname, parts.port or (443 if tls else 80),
                  ssl.create_default_context(cafile=None if ca is None else os.fspath(ca)) if tls else None, token_file)


def read_token(path: Path) -> str:
    """The first line of a file that is neither empty nor a comment."""
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            token = line.strip()
            if token and not token.startswith("#"):
                if not 16 <= len(token) <= 512 or not all(" " < letter < "\x7f" for letter in token):
                    break
                return token
    raise ValueError(f"{os.fspath(path)}: there is no token of 16 to 512 visible characters. Make one:  "
                     "openssl rand -hex 32 > FILE; chmod 600 FILE")


class Sender:
    """What cannot be sent waits, up to ``most``, then the oldest goes. Whoever hands over never waits.

    Each form gets the sender's ``stream`` and a ``sequence`` that rises: where an answer is lost it is sent again, and
    ``prony collect`` knows it by these and keeps it once. ``close`` tries for ``patience_s`` to send what is left and tells
    how much was not; ``trouble`` says why the last post failed.
    """

    def __init__(self, server: Server, path: str, most: int = 10_000) -> None:
        self._server, self._path, self._most = server, path, most
        self._stream, self._sequence = uuid.uuid4().hex, 0
        self._waiting: Deque[bytes] = collections.deque()
        self._changed = threading.Condition()
        self._closing = False
        self.dropped = self.sent = 0
        self.trouble = ""
        self._thread = threading.Thread(target=self._work, name="prony-remote", daemon=True)
        self._thread.start()

    def hand_over(self, form: Dict[str, Any]) -> None:
        """Takes a form along."""
        with self._changed:
            self._sequence += 1
            if len(self._waiting) >= self._most:
                self._waiting.popleft()
                self.dropped += 1
            numbered = {**form, "stream": self._stream, "sequence": self._sequence}
            self._waiting.append(urllib.parse.urlencode(numbered).encode())
            self._changed.notify()

    def close(self, patience_s: float = 5.0) -> int:
        """How many were never taken by the server."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(patience_s)
        with self._changed:
            return len(self._waiting) + self.dropped

    def _work(self) -> None:
        pause_s = 0.2
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                form = self._waiting[0]
            if self._post(form):
                pause_s = 0.2
                with self._changed:
                    self.sent += 1
                    if self._waiting and self._waiting[0] is form:
                        self._waiting.popleft()
                continue
            with self._changed:
                self._changed.wait_for(lambda: self._closing, pause_s)
                if self._closing and pause_s > 2:
                    return
            pause_s = min(30.0, pause_s * 2)

    def _post(self, form: bytes) -> bool:
        name, port, tls, token_file = self._server
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            if token_file is not None:
                headers["Authorization"] = "Bearer " + read_token(token_file)  # anew: it may be replaced
        except (OSError, ValueError) as error:
            self.trouble = str(error)
            return False
        connection = (http.client.HTTPConnection(name, port, timeout=5) if tls is None
                      else http.client.HTTPSConnection(name, port, timeout=5, context=tls))
        try:
            connection.request("POST", self._path, form, headers)
            answer = connection.getresponse()
            self.trouble = f"{answer.status} {answer.reason}"
            return 200 <= answer.status < 300
        except (OSError, http.client.HTTPException) as error:
            self.trouble = str(error) or type(error).__name__
            return False
        finally:
            connection.close()
