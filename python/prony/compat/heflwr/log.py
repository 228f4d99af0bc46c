"""``logger``, ``log`` and ``configure``: a logger that also writes to a file and posts to a server.

The first message attaches a handler that writes to standard output, as the package that this stands in for has it;
importing this module prints nothing and changes no other logger.
"""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any, Dict, Optional

from ._sender import Path, Sender, Server, server_of

_FORMAT = "%(identifier)s | %(levelname)s %(name)s %(asctime)s | %(filename)s:%(lineno)d | %(message)s"


class _Identified(logging.Formatter):
    def __init__(self, identifier: str) -> None:
        super().__init__(_FORMAT)
        self._identifier = identifier

    def format(self, record: logging.LogRecord) -> str:
        record.identifier = self._identifier
        return super().format(record)


class _Posting(logging.Handler):
    """Posts records from a thread of its own; whoever logs never waits."""

    def __init__(self, identifier: str, server: Server, simple: bool) -> None:
        super().__init__()
        self._identifier, self._simple = identifier, simple
        self._sender = Sender(server, "/simple_log" if simple else "/log")

    def emit(self, record: logging.LogRecord) -> None:
        fields: Dict[str, Any] = {"identifier": self._identifier}
        if self._simple:
            fields["message"] = record.getMessage()
        else:
            fields = {**record.__dict__, "message": record.getMessage(), **fields}
        self._sender.hand_over(fields)

    def close(self) -> None:
        self._sender.close()
        super().close()


class _Console(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what standard output is at that time."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stdout
        super().emit(record)


logger = logging.getLogger("HeFlwr")
logger.setLevel(logging.INFO)
logger.propagate = False
_console = _Console(sys.stdout)
_console.setFormatter(_Identified(""))
if not any(isinstance(handler, _Console) for handler in logger.handlers):
    logger.addHandler(_console)
log = logger.log
_configured: Dict[str, logging.Handler] = {}


def configure(identifier: str, file: Optional[str] = None, host: Optional[str] = None,
              simple: Optional[bool] = None, *, token_file: Optional[Path] = None, ca: Optional[Path] = None) -> None:
    """Names this program in its messages, and has them written to ``file`` and posted to ``host`` too. Called again for
    the same file or host it replaces what was there, so that no message comes twice. ``token_file``, ``ca``: as for a
    RemoteMonitor."""
    if simple is not None and host is None:
        warnings.warn("simple says how messages are posted, and without host none are", UserWarning, stacklevel=2)
    server = None if host is None else server_of(host, token_file, ca)
    _console.setFormatter(_Identified(identifier))
    if file is not None:
        handler: logging.Handler = logging.FileHandler(file)
        handler.setFormatter(_Identified(identifier))
        _attach("file", handler)
    if server is not None:
        _attach("host", _Posting(identifier, server, bool(simple)))


def _attach(place: str, handler: logging.Handler) -> None:
    before = _configured.pop(place, None)
    if before is not None:
        logger.removeHandler(before)
        before.close()
    _configured[place] = handler
    logger.addHandler(handler)
