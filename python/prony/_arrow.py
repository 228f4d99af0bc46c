"""Columns over the Arrow C data interface: handed to numpy, pandas, polars and pyarrow without a copy.

Source: Apache Arrow, "The Arrow C data interface", "The Arrow C stream interface" and "The Arrow PyCapsule interface".
What is handed on shares the buffers of the Table that it came from and keeps it alive; so one Table may be handed on often.
"""

from __future__ import annotations

import ctypes
import itertools
from ctypes import POINTER, c_char_p, c_int, c_void_p, py_object
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from ._errors import PronyError
from ._library import ArrowArray, ArrowArrayStream, ArrowSchema

_RELEASE = ctypes.CFUNCTYPE(None, c_void_p)
_SCHEMA_NAME, _ARRAY_NAME, _STREAM_NAME = b"arrow_schema", b"arrow_array", b"arrow_array_stream"
_TYPES = {b"l": ("<i8", ctypes.c_int64), b"g": ("<f8", ctypes.c_double)}

_keys = itertools.count(1)
_held: Dict[int, Tuple[Any, ...]] = {}  # private_data of what was handed on -> what it needs
_structs: Dict[int, Any] = {}           # address -> the struct in a capsule

_capsule_new = ctypes.pythonapi.PyCapsule_New
_capsule_new.restype, _capsule_new.argtypes = py_object, [c_void_p, c_char_p, c_void_p]
# By address and not as an object: a destructor gets a capsule that nobody may hold again.
_capsule_pointer = ctypes.PYFUNCTYPE(c_void_p, c_void_p, c_char_p)(("PyCapsule_GetPointer", ctypes.pythonapi))


def release(struct: Any) -> None:
    """Calls a struct's release, if it still has one: what was moved elsewhere has none."""
    if struct.release:
        _RELEASE(struct.release)(ctypes.addressof(struct))


def _release_shared(kind: Any) -> Any:
    def released(address: int) -> None:
        struct = kind.from_address(address)
        for number in range(struct.n_children):
            release(struct.children[number].contents)
        _held.pop(struct.private_data, None)
        struct.release = None

    return _RELEASE(released)


_release_schema, _release_array = _release_shared(ArrowSchema), _release_shared(ArrowArray)


def _share(kind: Any, released: Any, source: Any, target: Any, owner: Any) -> None:
    """Makes ``target`` another struct over what ``source`` has; ``owner`` lives until both are released."""
    ctypes.memmove(ctypes.addressof(target), ctypes.addressof(source), ctypes.sizeof(kind))
    children = (kind * source.n_children)()
    pointers = (POINTER(kind) * source.n_children)()
    for number in range(source.n_children):
        _share(kind, released, source.children[number].contents, children[number], owner)
        pointers[number] = ctypes.pointer(children[number])
    if source.n_children:
        target.children = ctypes.cast(pointers, POINTER(POINTER(kind)))
    key = next(_keys)
    _held[key] = (owner, children, pointers)
    target.private_data = key
    target.release = ctypes.cast(released, c_void_p)


def _destructor(kind: Any, name: bytes) -> Any:
    def destroyed(capsule: int) -> None:
        address = _capsule_pointer(capsule, name)
        struct = _structs.pop(address, None)
        if struct is not None:
            release(struct)

    return ctypes.PYFUNCTYPE(None, c_void_p)(destroyed)


_destroy_schema = _destructor(ArrowSchema, _SCHEMA_NAME)
_destroy_array = _destructor(ArrowArray, _ARRAY_NAME)
_destroy_stream = _destructor(ArrowArrayStream, _STREAM_NAME)


def _capsule(struct: Any, name: bytes, destructor: Any) -> Any:
    address = ctypes.addressof(struct)
    _structs[address] = struct
    return _capsule_new(address, name, ctypes.cast(destructor, c_void_p))


class _Memory:
    """A buffer of a Table as numpy takes it: the array's base is this, and this keeps the Table."""

    def __init__(self, owner: Any, address: int, count: int, kind: str) -> None:
        self._owner = owner
        self.__array_interface__ = {"version": 3, "shape": (count,), "typestr": kind, "data": (address, True)}


class Column:
    """One column of a Table. Numbers are 64 bits wide; what is not there is None in lists and masked in numpy."""

    def __init__(self, table: "Table", schema: ArrowSchema, array: ArrowArray) -> None:
        self._table, self._array = table, array
        self.name: str = schema.name.decode()
        self._format: bytes = schema.format
        self.null_count: int = array.null_count

    def __len__(self) -> int:
        return int(self._array.length)

    def _valid(self) -> Optional[List[bool]]:
        if self.null_count == 0 or not self._array.buffers[0]:
            return None
        first, count = self._array.offset, len(self)
        bits = ctypes.string_at(self._array.buffers[0], (first + count + 7) // 8)
        return [bool(bits[i >> 3] >> (i & 7) & 1) for i in range(first, first + count)]

    def _texts(self) -> List[str]:
        first, count = self._array.offset, len(self)
        ends = (ctypes.c_int32 * (first + count + 1)).from_address(self._array.buffers[1])
        text = ctypes.string_at(self._array.buffers[2], ends[first + count]) if ends[first + count] else b""
        return [text[ends[i]:ends[i + 1]].decode("utf-8", "replace") for i in range(first, first + count)]

    def to_list(self) -> List[Any]:
        """Python numbers or texts; None where nothing is."""
        if len(self) == 0:
            return []
        if self._format == b"u":
            values: List[Any] = self._texts()
        else:
            _, kind = _TYPES[self._format]
            first = self._array.offset
            values = (kind * (first + len(self))).from_address(self._array.buffers[1])[first:]
        valid = self._valid()
        return values if valid is None else [v if there else None for v, there in zip(values, valid)]

    def to_numpy(self) -> Any:
        """Numbers: an array over the Table's own memory (masked where nothing is). Texts: an array of objects."""
        import numpy

        if self._format == b"u":
            return numpy.array(self.to_list(), dtype=object)
        name, _ = _TYPES[self._format]
        if len(self) == 0:
            return numpy.empty(0, dtype=name)
        first = self._array.offset
        values = numpy.asarray(_Memory(self._table, self._array.buffers[1], first + len(self), name))[first:]
        valid = self._valid()
        return values if valid is None else numpy.ma.MaskedArray(values, mask=~numpy.array(valid, dtype=bool))


class Table(Mapping[str, List[Any]]):
    """Columns of one length, by name; a Mapping to plain lists, so ``dict(table)`` is plain Python.

    numpy, pandas, polars and pyarrow take it without a copy: ``polars.DataFrame(table)``, ``pyarrow.table(table)``, or
    the ``to_…`` functions. Read-only; any thread.
    """

    def __init__(self, schema: ArrowSchema, array: ArrowArray) -> None:
        """Takes both structs over."""
        self._schema, self._array = schema, array
        self.num_rows: int = array.length
        self._columns: Dict[str, Column] = {}
        for number in range(schema.n_children):
            column = Column(self, schema.children[number].contents, array.children[number].contents)
            self._columns[column.name] = column

    def __del__(self, release: Callable[[Any], None] = release) -> None:  # bound early: modules are emptied at exit
        if "_array" in self.__dict__:
            release(self._array)
            release(self._schema)

    def __getitem__(self, name: str) -> List[Any]:
        return self._columns[name].to_list()

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return f"<prony.Table: {self.num_rows} rows of {', '.join(self._columns)}>"

    def column(self, name: str) -> Column:
        """One column, unconverted."""
        return self._columns[name]

    def to_dict(self) -> Dict[str, List[Any]]:
        """Plain lists by name."""
        return {name: column.to_list() for name, column in self._columns.items()}

    def to_numpy(self) -> Dict[str, Any]:
        """Arrays by name, over this Table's memory."""
        return {name: column.to_numpy() for name, column in self._columns.items()}

    def to_arrow(self) -> Any:
        """A pyarrow.RecordBatch over this Table's memory."""
        import pyarrow

        return pyarrow.record_batch(self)

    def to_polars(self) -> Any:
        """A polars.DataFrame over this Table's memory."""
        import polars

        return polars.DataFrame(self)

    def to_pandas(self) -> Any:
        """A pandas.DataFrame. Where values are missing pandas makes NaN or None of them."""
        import pandas

        columns = {}
        for name, column in self._columns.items():
            values = column.to_numpy()
            if column.null_count and column._format == b"g":
                values = values.filled(float("nan"))
            elif column.null_count and column._format == b"l":
                values = pandas.array(column.to_list(), dtype="Int64")
            columns[name] = values
        return pandas.DataFrame(columns, copy=False)

    def __arrow_c_schema__(self) -> Any:
        target = ArrowSchema()
        _share(ArrowSchema, _release_schema, self._schema, target, self)
        return _capsule(target, _SCHEMA_NAME, _destroy_schema)

    def __arrow_c_array__(self, requested_schema: Any = None) -> Tuple[Any, Any]:
        target = ArrowArray()
        _share(ArrowArray, _release_array, self._array, target, self)
        return self.__arrow_c_schema__(), _capsule(target, _ARRAY_NAME, _destroy_array)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return stream_capsule(lambda: self, iter((self,)))


# --- streams -------------------------------------------------------------------------------------------------------------

_STREAM_OUT = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p)
_STREAM_WORDS = ctypes.CFUNCTYPE(c_void_p, c_void_p)
_EIO = 5


class _Source:
    def __init__(self, like: Callable[[], Any], batches: Iterator[Table]) -> None:
        self.like, self.batches = like, batches
        self.words: Optional[ctypes.Array[Any]] = None

    def guarded(self, work: Callable[[], None]) -> int:
        try:
            work()
            return 0
        except Exception as error:  # must not leave through C: it becomes the stream's error
            self.words = ctypes.create_string_buffer(str(error).encode("utf-8", "replace"))
            return _EIO


def _source(stream: int) -> _Source:
    source: _Source = _held[ArrowArrayStream.from_address(stream).private_data][0]
    return source


def _get_schema(stream: int, out: int) -> int:
    source = _source(stream)

    def work() -> None:
        table = source.like()
        _share(ArrowSchema, _release_schema, table._schema, ArrowSchema.from_address(out), table)

    return source.guarded(work)


def _get_next(stream: int, out: int) -> int:
    source = _source(stream)

    def work() -> None:
        table = next(source.batches, None)
        target = ArrowArray.from_address(out)
        if table is None:
            target.release = None
        else:
            _share(ArrowArray, _release_array, table._array, target, table)

    return source.guarded(work)


def _last_error(stream: int) -> Optional[int]:
    words = _source(stream).words
    return None if words is None else ctypes.addressof(words)


def _release_stream(stream: int) -> None:
    struct = ArrowArrayStream.from_address(stream)
    _held.pop(struct.private_data, None)
    struct.release = None


_stream_functions = (_STREAM_OUT(_get_schema), _STREAM_OUT(_get_next), _STREAM_WORDS(_last_error),
                     _RELEASE(_release_stream))


def stream_capsule(like: Callable[[], Any], batches: Iterator[Table]) -> Any:
    """A PyCapsule with an ArrowArrayStream that yields ``batches``; ``like`` gives a Table of the same columns."""
    struct = ArrowArrayStream()
    key = next(_keys)
    _held[key] = (_Source(like, batches),)
    struct.get_schema, struct.get_next, struct.get_last_error, struct.release = (
        ctypes.cast(function, c_void_p) for function in _stream_functions)
    struct.private_data = key
    return _capsule(struct, _STREAM_NAME, _destroy_stream)


class SchemaHolder:
    """The columns of a stream, before any batch of it."""

    def __init__(self, schema: ArrowSchema) -> None:
        """Takes the struct over."""
        self._schema = schema

    def __del__(self, release: Callable[[Any], None] = release) -> None:
        release(self._schema)


class LibraryStream:
    """A stream that the library gave: iterate over its batches; ``close`` releases it. One thread at a time."""

    def __init__(self, struct: ArrowArrayStream) -> None:
        """Takes the struct over."""
        self._struct = struct

    def _ask(self, function: int, out: Any) -> None:
        code = _STREAM_OUT(function)(ctypes.addressof(self._struct), ctypes.addressof(out))
        if code != 0:
            words = _STREAM_WORDS(self._struct.get_last_error)(ctypes.addressof(self._struct))
            raise PronyError(ctypes.string_at(words).decode("utf-8", "replace") if words else "the readings ended early")

    def schema(self) -> SchemaHolder:
        """Which columns its batches have."""
        schema = ArrowSchema()
        self._ask(self._struct.get_schema, schema)
        return SchemaHolder(schema)

    def next(self) -> Optional[Table]:
        """The next batch; None at the end."""
        if not self._struct.release:
            return None
        array = ArrowArray()
        self._ask(self._struct.get_next, array)
        if not array.release:
            return None
        schema = ArrowSchema()
        try:
            self._ask(self._struct.get_schema, schema)
        except PronyError:
            release(array)
            raise
        return Table(schema, array)

    def close(self) -> None:
        """Once is enough."""
        release(self._struct)
