"""Clocks for work that a program only hands over: how spans around it are stamped, and what they say of that.

Without a wait the host's clock tells when work was handed over, not when it ran. So either the accelerator stamps (events
in its stream, which cost next to nothing and change no order), or the host waits before and after (which takes away what
would have overlapped). What was done is in each span's attribute ``clock``.
"""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

from ._spans import Clock, now_ns

# "CUDA Runtime API", cudaEventElapsedTime: "with a resolution of around 0.5 microseconds".
RESOLUTION_NS = 500
CLOCKS = ("auto", "device", "synchronised", "host")


def first_tensor(values: Any) -> Optional[Any]:
    """The first tensor in arguments or results: of themselves, or one level deep."""
    for value in values.values() if isinstance(values, dict) else values:
        if hasattr(value, "device") and hasattr(value, "shape"):
            return value
        if isinstance(value, (tuple, list, dict)) and value:
            inner = next(iter(value.values() if isinstance(value, dict) else value))
            if hasattr(inner, "device") and hasattr(inner, "shape"):
                return inner
    return None


def is_host(device: Any) -> bool:
    """Whether work on it is over when the call returns."""
    return device is None or device.type in ("cpu", "meta")


def backend_of(device: Any) -> Any:
    """torch.cuda, torch.xpu, torch.mps, … for a device; None where this PyTorch has none of that name."""
    import torch

    return getattr(torch, device.type, None)


def wait_for(backend: Any, device: Any) -> bool:
    """Waits until all that was handed over is done. False: this accelerator cannot be waited for."""
    wait = getattr(backend, "synchronize", None)
    if wait is None:
        return False
    try:
        wait(device)
    except TypeError:  # there is one only: torch.mps
        wait()
    return True


def choose(wanted: str, device: Any, backend: Any) -> str:
    """The value of ``clock`` for spans on a device: "device", "synchronised" or "host-asynchronous"; "" on the host."""
    if is_host(device):
        return ""
    # torch.cuda is also what AMD's cards are called there. Other backends' events have no common promise.
    if wanted == "device" and device.type != "cuda":
        raise ValueError(f'clock="device": stamps of {device.type} devices are not known here; "synchronised" is')
    if wanted in ("auto", "device") and device.type == "cuda":
        return "device"
    if wanted != "host" and hasattr(backend, "synchronize"):
        return "synchronised"
    return "host-asynchronous"


class DeviceStamps:
    """Events in an accelerator's streams, and what they mean on CLOCK_MONOTONIC. One thread at a time.

    ``backend`` is torch.cuda, or what has its Event, current_stream and synchronize.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def stamp(self, device: Any) -> Any:
        """An event that the device passes when it has done what was handed over before."""
        event = self._backend.Event(enable_timing=True)
        event.record(self._backend.current_stream(device))
        return event

    def anchor(self, device: Any, tries: int = 3) -> Tuple[Any, Clock]:
        """Waits for the device; gives an event and a clock whose zero is that event.

        The device is idle then, so the event happens between the two looks at the host's clock: half their distance is
        the doubt. The best of a few tries."""
        best: List[Tuple[int, int, Any]] = []
        self._backend.synchronize(device)
        for _ in range(tries):
            before = now_ns()
            mark = self.stamp(device)
            mark.synchronize()
            after = now_ns()
            best.append((after - before, before, mark))
        width, before, mark = min(best, key=lambda entry: entry[0])
        return mark, Clock(str(device), before + width // 2, (width + 1) // 2 + RESOLUTION_NS)

    @staticmethod
    def before(mark: Any, event: Any) -> int:
        """When an event was, in ns on the clock whose zero is ``mark``: below 0."""
        return -round(float(event.elapsed_time(mark)) * 1e6)
