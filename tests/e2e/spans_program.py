"""A program that marks its own requests through libprony: what `prony run` measures in the truth tests.

usage: spans_program.py LIBPRONY COUNT SECONDS: COUNT requests of SECONDS each, half of it busy, with short gaps between.
"""

import ctypes
import sys
import time

REQUEST = 2


def main():
    lib = ctypes.CDLL(sys.argv[1])
    lib.prony_span_begin.restype = ctypes.c_uint64
    lib.prony_span_begin.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint64]
    lib.prony_span_end.argtypes = [ctypes.c_uint64, ctypes.c_int]
    if lib.prony_open(None) != 0:
        sys.exit("nobody records")
    for number in range(int(sys.argv[2])):
        span = lib.prony_span_begin(REQUEST, f"r{number}".encode(), 0)
        begin = time.monotonic()
        while time.monotonic() - begin < float(sys.argv[3]) / 2:
            pass
        time.sleep(float(sys.argv[3]) / 2)
        lib.prony_span_end(span, 0)
        time.sleep(0.05)
    lib.prony_close()


main()
