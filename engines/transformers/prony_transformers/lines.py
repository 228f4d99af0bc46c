"""Lines of the driver, read by a thread so that a cancel is seen while a model computes."""

from __future__ import annotations

import collections
import threading
from typing import Any, Deque, Optional

from .protocol import MOST_LINE, BadMessage, parse


class Lines:
    """A queue of lines. A cancel is no line: it raises `cancelled`, as the end of input does."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._lines: Deque[bytes] = collections.deque()
        self._more = threading.Condition()
        self._ended = False
        self.cancelled = threading.Event()

    def start(self) -> "Lines":
        threading.Thread(target=self.read_all, daemon=True).start()
        return self

    def read_all(self) -> None:
        """Until the input ends, or a `stop` was read: after it nothing is wanted, so the end cancels nothing."""
        while True:
            try:
                line = self._stream.readline(MOST_LINE + 2)
                whole = line
                while whole and not whole.endswith(b"\n"):  # the rest of one that is too long, or the end
                    whole = self._stream.readline(MOST_LINE)
            except (OSError, ValueError):
                line = b""
            if not line:
                break
            if self._push(line):
                return
        self.cancelled.set()
        with self._more:
            self._ended = True
            self._more.notify_all()

    def _push(self, line: bytes) -> bool:
        kind = None
        if b'"cancel"' in line or b'"stop"' in line:
            try:
                kind = parse(line).get("type")
            except BadMessage:
                pass
        if kind == "cancel":
            self.cancelled.set()
            return False
        with self._more:
            self._lines.append(line)
            self._ended = self._ended or kind == "stop"
            self._more.notify_all()
        return kind == "stop"

    def next(self) -> Optional[bytes]:
        """The next line, waited for; None: there will be none."""
        with self._more:
            while not self._lines and not self._ended:
                self._more.wait()
            return self._lines.popleft() if self._lines else None

    def begin(self) -> None:
        """A request begins: a cancel before it was not meant for it; the end of input is."""
        with self._more:
            if not self._ended or self._lines:
                self.cancelled.clear()
