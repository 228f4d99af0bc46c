"""What memory is held now, was held at most since the last reset, and is reserved; in bytes.

Of an accelerator it is PyTorch's own allocator. PyTorch has none for the processor: there it is the process (what is resident,
and its high-water mark, which Linux resets on request), and `of` says so."""

from __future__ import annotations

from typing import Any, Dict, Optional


def status_bytes(status: str, name: str) -> Optional[int]:
    """A line of /proc/self/status ("VmRSS:     1234 kB") in bytes; None: it is not there."""
    for line in status.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == name + ":" and words[1].isdigit():
            return int(words[1]) * 1024
    return None


class ProcessMemory:
    """Resident memory of this process."""

    of = "process, resident"

    def __init__(self, folder: str = "/proc/self") -> None:
        self._folder = folder

    def reset(self) -> bool:
        """The peak begins anew; False: it cannot be reset here, and what is read then is that of the whole process."""
        try:
            with open(self._folder + "/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
            return True
        except OSError:
            return False

    def read(self) -> Dict[str, int]:
        """current and peak, as far as they are told; nothing is reserved beyond what is held."""
        try:
            with open(self._folder + "/status", encoding="utf-8", errors="replace") as file:
                status = file.read()
        except OSError:
            return {}
        found = {"current": status_bytes(status, "VmRSS"), "peak": status_bytes(status, "VmHWM")}
        return {name: value for name, value in found.items() if value is not None}


class CudaMemory:
    """PyTorch's allocator on one device."""

    of = "allocator of PyTorch"

    def __init__(self, cuda: Any, device: Any) -> None:
        self._cuda, self._device = cuda, device

    def reset(self) -> bool:
        self._cuda.reset_peak_memory_stats(self._device)
        return True

    def read(self) -> Dict[str, int]:
        return {"current": int(self._cuda.memory_allocated(self._device)),
                "peak": int(self._cuda.max_memory_allocated(self._device)),
                "reserved": int(self._cuda.memory_reserved(self._device))}


class Watch:
    """The memory of windows, and the largest of their peaks."""

    def __init__(self, memory: Any) -> None:
        self._memory = memory
        self.most: Dict[str, int] = {}
        self.reset_works = True

    @property
    def of(self) -> str:
        return str(self._memory.of)

    def begin(self) -> None:
        self.reset_works = self._memory.reset() and self.reset_works

    def end(self) -> Dict[str, int]:
        """memory_current_bytes, memory_peak_bytes, memory_reserved_bytes of the window."""
        read = self._memory.read()
        for name, value in read.items():
            self.most[name] = value if name == "current" else max(self.most.get(name, 0), value)
        return {f"memory_{name}_bytes": value for name, value in read.items()}
