"""Spans of this program: a context manager and a decorator over libprony."""

from __future__ import annotations

import contextvars
import functools
import inspect
from ctypes import sizeof
from dataclasses import dataclass
from typing import Any, Callable, Dict, Optional, TypeVar, Union, cast

from . import _library
from ._library import ClockStruct

Value = Union[int, float, str, bool]
Function = TypeVar("Function", bound=Callable[..., Any])

KINDS: Dict[str, int] = {name: number for number, name in enumerate(
    ("run", "phase", "request", "tokenise", "prefill", "decode", "token", "batch", "layer", "process", "user"))}
_INT64 = range(-2**63, 2**63)

# The innermost open span: of each thread and of each asyncio task its own. A task begins with its maker's.
_innermost: "contextvars.ContextVar[int]" = contextvars.ContextVar("prony_span", default=0)
_opened = False


def _library_opened() -> Any:
    """libprony, which has looked once whether $PRONY_SPANS names a recorder."""
    global _opened  # the library has this state as well, but asking it costs a call for each span
    library = _library.spans()
    if not _opened:
        if not library.prony_recording():
            library.prony_open(None)
        _opened = True
    return library


def recording() -> bool:
    """Whether anybody records spans of this program: a `prony run` around it, or a Meter in it."""
    return bool(_library_opened().prony_recording())


def now_ns() -> int:
    """The clock that spans are stamped with: CLOCK_MONOTONIC, in ns."""
    return int(_library.spans().prony_now_ns())


def current_span() -> int:
    """The id of the innermost open span of this thread or task; 0: none. Give it to a thread as its spans' parent."""
    return _innermost.get()


def _kind_of(kind: Union[str, int]) -> int:
    if isinstance(kind, str):
        if kind not in KINDS:
            raise ValueError(f"there is no span kind {kind!r}; there are {', '.join(KINDS)}")
        return KINDS[kind]
    if kind not in KINDS.values():
        raise ValueError(f"there is no span kind {kind}; there are 0 to {len(KINDS) - 1}")
    return kind


def _cut(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape").split(b"\0", 1)[0]


def _write(library: Any, handle: int, values: Dict[str, Value]) -> None:
    for key, value in values.items():
        if isinstance(value, (bool, int)) and int(value) in _INT64:
            library.prony_span_count(handle, _cut(key), int(value))
        else:  # text, or a number that no 64 bits hold or that has a fraction
            library.prony_span_attribute(handle, _cut(key), _cut(value if isinstance(value, str) else repr(value)))


class span:  # lower case: it is used like a verb
    """A named stretch of time, of which Prony tells time and joules.

    ``with prony.span("prompt", id=3) as s: …``, ``async with``, or ``@prony.span("step")`` on any function: plain,
    ``async``, generator or asynchronous generator (each call gets a span of its own; a generator's lasts from its first
    value to its end). Keyword values that are whole numbers become counts, everything else text. A span that is left by
    an exception is marked failed. Spans nest by themselves within a thread and within an asyncio task; give ``parent``
    (``s.id`` or ``prony.current_span()``) for another thread's. Where nobody records, all of it does next to nothing.
    """

    __slots__ = ("_name", "_kind", "_parent", "_values", "_handle", "_outer", "_open", "_resumed")

    def __init__(self, name: str, *, kind: Union[str, int] = "user", parent: Optional[int] = None, **values: Value) -> None:
        self._name, self._kind, self._parent, self._values = name, _kind_of(kind), parent, values
        self._handle, self._outer, self._resumed, self._open = 0, 0, 0, False

    @property
    def id(self) -> int:
        """The span's id while it is open; 0 where nobody records."""
        return self._handle

    @property
    def name(self) -> str:
        """What it was called."""
        return self._name

    def set(self, **values: Value) -> "span":
        """Counts and attributes that became known meanwhile: ``s.set(output_tokens=128)``. Only while it is open."""
        if not self._open:
            raise RuntimeError(f"span {self._name!r} is not open: values belong between its begin and its end")
        if self._handle:
            _write(_library.spans(), self._handle, values)
        return self

    def _begin(self) -> None:
        if self._open:
            raise RuntimeError(f"span {self._name!r} is open already: make one for each stretch of time")
        library = _library_opened()
        self._outer = _innermost.get()
        parent = self._outer if self._parent is None else self._parent
        self._handle, self._open = library.prony_span_begin(self._kind, _cut(self._name), parent), True
        self._resumed = self._handle or self._outer  # where a generator's own spans nest when it goes on
        if self._handle and self._values:
            _write(library, self._handle, self._values)

    def _end(self, failed: bool) -> None:
        handle, self._handle, self._open = self._handle, 0, False
        if handle:
            _library.spans().prony_span_end(handle, int(failed))

    def __enter__(self) -> "span":
        self._begin()
        if self._handle:
            _innermost.set(self._handle)
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self._handle and _innermost.get() == self._handle:
            _innermost.set(self._outer)
        self._end(kind is not None)

    async def __aenter__(self) -> "span":
        return self.__enter__()

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.__exit__(kind, error, trace)

    def _again(self) -> "span":
        return span(self._name, kind=self._kind, parent=self._parent, **self._values)

    def __call__(self, function: Function) -> Function:
        if inspect.isasyncgenfunction(function):
            made = self._around_async_generator(function)
        elif inspect.isgeneratorfunction(function):
            made = self._around_generator(function)
        elif inspect.iscoroutinefunction(function):
            made = self._around_coroutine(function)
        else:
            made = self._around_function(function)
        return cast(Function, functools.wraps(function)(made))

    def _around_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            with self._again():
                return function(*args, **named)

        return call

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **named: Any) -> Any:
            with self._again():
                return await function(*args, **named)

        return call

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            inner = function(*args, **named)
            stretch, failed = self._again(), True
            stretch._begin()
            try:
                step: Callable[[], Any] = lambda: next(inner)
                while True:
                    before = stretch._go_in()
                    try:
                        value = step()
                    except StopIteration as end:
                        failed = False
                        return end.value
                    finally:
                        stretch._go_out(before)
                    try:
                        sent = yield value
                        step = functools.partial(inner.send, sent)
                    except GeneratorExit:
                        failed = False  # its reader had enough
                        inner.close()
                        raise
                    except BaseException as error:
                        step = functools.partial(inner.throw, error)
            finally:
                stretch._end(failed)

        return call

    def _go_in(self) -> int:
        """Before a step of a generator; gives what its reader had as the innermost span."""
        before = _innermost.get()
        _innermost.set(self._resumed)
        return before

    def _go_out(self, before: int) -> None:
        """After the step: the generator's own spans nest in this one, and between its steps the reader's do not."""
        self._resumed = _innermost.get()
        _innermost.set(before)

    def _around_async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **named: Any) -> Any:
            inner = function(*args, **named)
            stretch, failed = self._again(), True
            stretch._begin()
            try:
                step: Callable[[], Any] = inner.__anext__
                while True:
                    before = stretch._go_in()
                    try:
                        value = await step()
                    except StopAsyncIteration:
                        failed = False
                        return
                    finally:
                        stretch._go_out(before)
                    try:
                        sent = yield value
                        step = functools.partial(inner.asend, sent)
                    except GeneratorExit:
                        failed = False
                        await inner.aclose()
                        raise
                    except BaseException as error:
                        step = functools.partial(inner.athrow, error)
            finally:
                stretch._end(failed)

        return call


def complete_span(name: str, begin_ns: int, end_ns: int, *, kind: Union[str, int] = "user",
                  parent: Optional[int] = None, **values: Value) -> int:
    """A span whose begin and end are known already (ns on CLOCK_MONOTONIC, see ``now_ns``); gives its id, 0: not recorded."""
    library = _library_opened()
    handle = library.prony_span_complete(_kind_of(kind), _cut(name), current_span() if parent is None else parent,
                                         begin_ns, end_ns)
    if handle:
        _write(library, handle, values)
    return int(handle)


@dataclass(frozen=True)
class Clock:
    """Another clock than CLOCK_MONOTONIC, of an accelerator say: its name, what to add to its stamps to have ns on
    CLOCK_MONOTONIC, and how far that may be off to either side."""

    name: str
    offset_ns: int
    doubt_ns: int


def stamped_span(name: str, begin: int, end: int, clock: Clock, *, kind: Union[str, int] = "user",
                 parent: Optional[int] = None, **values: Value) -> int:
    """A span of asynchronous work that another clock stamped (ns on it); gives its id, 0: not recorded.

    The Run has it on CLOCK_MONOTONIC, with ``clock`` "device", ``clock_name``, ``clock_offset_ns``, ``clock_doubt_ns``."""
    library = _library_opened()
    struct = ClockStruct(struct_size=sizeof(ClockStruct), name=_cut(clock.name), offset_ns=clock.offset_ns,
                         doubt_ns=clock.doubt_ns)
    handle = library.prony_span_stamped(_kind_of(kind), _cut(name), current_span() if parent is None else parent,
                                        begin, end, struct)
    if handle:
        _write(library, handle, values)
    return int(handle)
