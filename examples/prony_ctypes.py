"""The least binding of libprony for Python: import it, or run it as it is. Set LIBPRONY if the library is not found by name."""
import contextlib
import ctypes
import os

_lib = ctypes.CDLL(os.environ.get("LIBPRONY", "libprony.so.1"))
_lib.prony_span_begin.restype = _lib.prony_span_complete.restype = ctypes.c_uint64
_lib.prony_span_begin.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint64]
_lib.prony_span_end.argtypes = [ctypes.c_uint64, ctypes.c_int]
_lib.prony_span_count.argtypes = [ctypes.c_uint64, ctypes.c_char_p, ctypes.c_int64]
_lib.prony_span_attribute.argtypes = [ctypes.c_uint64, ctypes.c_char_p, ctypes.c_char_p]
KINDS = "run phase request tokenise prefill decode token batch layer process user".split()
recording = _lib.prony_open(None) == 0


@contextlib.contextmanager
def span(kind, name="", parent=0, **counts):
    handle = _lib.prony_span_begin(KINDS.index(kind), name.encode(), parent)
    status = 1  # failed, unless the block gets to its end
    try:
        yield handle
        status = 0
    finally:
        for key, value in counts.items():
            _lib.prony_span_count(handle, key.encode(), value)
        _lib.prony_span_end(handle, status)


if __name__ == "__main__":
    with span("request", "from Python", prompt_tokens=3) as request:
        with span("prefill", parent=request):
            print(sum(range(10000)))
