"""What Prony raises: one class per kind of failure, each with the words of the library (what, where, what to do)."""

from __future__ import annotations

import enum
from typing import Dict, Type


class ErrorCode(enum.IntEnum):
    """``enum prony_error`` of ``prony/meter.h``."""

    ABSENT = 1
    DENIED = 2
    GONE = 3
    TRANSIENT = 4
    MALFORMED = 5
    UNAVAILABLE = 6
    FULL = 7
    USAGE = 8
    STATE = 9
    MEMORY = 10
    INTERNAL = 11


class PronyError(Exception):
    """An operation of Prony failed. ``code`` tells the kind, ``str(error)`` what happened, where and what to do."""

    def __init__(self, words: str, code: ErrorCode = ErrorCode.INTERNAL) -> None:
        super().__init__(words)
        self.code = code


class AbsentError(PronyError, LookupError):
    """A file, a sensor, a process, a column or the program ``prony`` is not there."""


class DeniedError(PronyError):
    """It is there, but this user may not."""


class MalformedError(PronyError, ValueError):
    """Not what it should be: no Run, a damaged one, or one of a newer version."""


class UnavailableError(PronyError):
    """It cannot work here, or not any more: the recorder failed, or what was measured has gone."""


class UsageError(PronyError, ValueError):
    """An argument is off."""


class StateError(PronyError, RuntimeError):
    """Not now: asked before the start, or with a meter of the process that forked this one."""


_CLASSES: Dict[ErrorCode, Type[PronyError]] = {
    ErrorCode.ABSENT: AbsentError,
    ErrorCode.DENIED: DeniedError,
    ErrorCode.GONE: UnavailableError,
    ErrorCode.TRANSIENT: UnavailableError,
    ErrorCode.MALFORMED: MalformedError,
    ErrorCode.UNAVAILABLE: UnavailableError,
    ErrorCode.FULL: UnavailableError,
    ErrorCode.USAGE: UsageError,
    ErrorCode.STATE: StateError,
}


def error_of(code: int, words: str) -> PronyError:
    """The exception for a code that the library gave."""
    try:
        known = ErrorCode(code)
    except ValueError:  # of a newer library
        return PronyError(words or f"error {code}", ErrorCode.INTERNAL)
    kind = _CLASSES.get(known, PronyError)
    return kind(words or f"Prony: {known.name.lower()}", known)
