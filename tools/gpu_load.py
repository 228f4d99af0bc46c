#!/usr/bin/env python3
"""A known load for an NVIDIA GPU, for tools/validate_gpu.py: multiplications and additions on all of it, through the driver's own
library (libcuda.so.1): no toolkit is needed, the driver translates the kernel below.

usage: gpu_load.py SHARE PATTERN     SHARE of the time that it computes while on (0 to 1); PATTERN: on:2,off:1,on:0.5 (seconds)

Prints a line of JSON when it is ready, and one for every phase: {"phase": "on", "begin_ns": …, "end_ns": …, "busy_s": …}, times of
CLOCK_MONOTONIC; busy_s is for how long launches were waited for. Takes the first GPU that CUDA_VISIBLE_DEVICES shows.
Exit codes: 0 done, 3 there is no GPU that can be used (which says why).
"""

import ctypes
import json
import sys
import time

SLICE_S = 0.1  # of which SHARE is busy
MULTIPROCESSORS = 16  # CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT of cuda.h
KERNEL = b"""
.version 6.0
.target sm_50
.address_size 64
.visible .entry burn(.param .u64 out, .param .u32 rounds)
{
    .reg .pred %again;
    .reg .f32 %a, %b, %c, %d, %one;
    .reg .u32 %left;
    .reg .u64 %to;
    ld.param.u64 %to, [out];
    ld.param.u32 %left, [rounds];
    mov.f32 %one, 0f3F7FFFFE;
    mov.f32 %a, 0f3F000000;
    mov.f32 %b, 0f3F100000;
    mov.f32 %c, 0f3F200000;
    mov.f32 %d, 0f3F300000;
next:
    fma.rn.f32 %a, %a, %one, %b;
    fma.rn.f32 %b, %b, %one, %c;
    fma.rn.f32 %c, %c, %one, %d;
    fma.rn.f32 %d, %d, %one, %a;
    sub.u32 %left, %left, 1;
    setp.ne.u32 %again, %left, 0;
    @%again bra next;
    cvta.to.global.u64 %to, %to;
    st.global.f32 [%to], %d;
    ret;
}
\0"""


class Unusable(Exception):
    """Why no GPU can be used."""


class Gpu:
    """The first GPU with the kernel on it."""

    def __init__(self):
        try:
            self.cuda = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            raise Unusable(f"the NVIDIA driver's libcuda.so.1 is not here: {error}") from error
        device, context, module, count = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_int()
        self.kernel, self.out = ctypes.c_void_p(), ctypes.c_uint64()
        self.call("cuInit", 0)
        self.call("cuDeviceGet", ctypes.byref(device), 0)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.call("cuCtxSetCurrent", context)
        self.call("cuDeviceGetAttribute", ctypes.byref(count), MULTIPROCESSORS, device)
        self.call("cuModuleLoadData", ctypes.byref(module), KERNEL)
        self.call("cuModuleGetFunction", ctypes.byref(self.kernel), module, b"burn")
        self.call("cuMemAlloc_v2", ctypes.byref(self.out), ctypes.c_size_t(256))
        self.blocks, self.rounds = count.value * 8, 1000
        self.burn()  # the first is slow for other reasons
        while self.burn() < 0.01:  # a launch of 10 to 20 ms
            self.rounds *= 2

    def call(self, name, *arguments):
        code = getattr(self.cuda, name)(*arguments)
        if code != 0:
            text = ctypes.c_char_p()
            self.cuda.cuGetErrorName(code, ctypes.byref(text))
            raise Unusable(f"{name} gives {code} ({(text.value or b'unknown').decode()})")

    def burn(self):
        """One launch, waited for; seconds."""
        begin = time.monotonic()
        rounds = ctypes.c_uint32(self.rounds)
        values = (ctypes.c_void_p * 2)(ctypes.addressof(self.out), ctypes.addressof(rounds))
        self.call("cuLaunchKernel", self.kernel, self.blocks, 1, 1, 256, 1, 1, 0, None, values, None)
        self.call("cuCtxSynchronize")
        return time.monotonic() - begin


def phase(gpu, share, seconds):
    """Busy for that share of every slice; seconds busy."""
    end, busy = time.monotonic() + seconds, 0.0
    while (now := time.monotonic()) < end:
        stop = min(end, now + SLICE_S)
        while time.monotonic() < min(end, now + SLICE_S * share):
            busy += gpu.burn()
        time.sleep(max(0.0, stop - time.monotonic()))
    return busy


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    share = float(sys.argv[1])
    steps = [(word.split(":")[0], float(word.split(":")[1])) for word in sys.argv[2].split(",")]
    try:
        gpu = Gpu()
        print(json.dumps({"ready_ns": time.monotonic_ns()}), flush=True)
        for name, seconds in steps:
            begin = time.monotonic_ns()
            busy = phase(gpu, share, seconds) if name == "on" else time.sleep(seconds) or 0.0
            print(json.dumps({"phase": name, "begin_ns": begin, "end_ns": time.monotonic_ns(), "busy_s": busy}), flush=True)
    except Unusable as error:
        print(f"gpu_load: {error}", file=sys.stderr)
        sys.exit(3)


if __name__ == "__main__":
    main()
