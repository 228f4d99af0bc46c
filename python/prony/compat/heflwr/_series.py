"""From readings to aligned rows: pure arithmetic on stamps (s) and values.

Everything becomes a cumulative curve over time (bytes, CPU seconds, joules, byte-seconds), and a row is the curve's increase
between two stamps. So rows add up to the whole, whatever the sampling did between, and every series has the same rows.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import List, Optional, Sequence


class Curve:
    """A quantity that adds up over time; between readings a straight line, outside of them unknown."""

    def __init__(self) -> None:
        self.stamps_s: List[float] = []
        self.totals: List[float] = []
        self._last: Optional[float] = None

    def add_counter(self, stamp_s: float, value: Optional[float], range_: Optional[float] = None) -> None:
        """A reading of a counter. One that fell has wrapped at ``range_``; where that is not known it began anew."""
        if value is None:
            return
        step = 0.0 if self._last is None else value - self._last
        if step < 0:
            step = step + range_ if range_ is not None else value
        self._append(stamp_s, value, step)

    def add_gauge(self, stamp_s: float, value: Optional[float]) -> None:
        """A reading of a gauge: its integral over time, by trapezoids between the real stamps."""
        if value is None:
            return
        step = 0.0 if self._last is None else (value + self._last) / 2 * (stamp_s - self.stamps_s[-1])
        self._append(stamp_s, value, step)

    def add_model(self, stamp_s: float, busy_s: Optional[float], idle_w: float, full_w: float, cpus: float) -> None:
        """A reading of busy CPU time, which a power model turns into joules: idle + (full − idle) · load."""
        if busy_s is None:
            return
        step = 0.0
        if self._last is not None:
            length_s = stamp_s - self.stamps_s[-1]
            load = min(1.0, max(0.0, busy_s - self._last) / (length_s * cpus)) if length_s > 0 else 0.0
            step = (idle_w + (full_w - idle_w) * load) * length_s
        self._append(stamp_s, busy_s, step)

    def _append(self, stamp_s: float, value: float, step: float) -> None:
        if self.stamps_s and stamp_s <= self.stamps_s[-1]:
            return  # had before
        self.stamps_s.append(stamp_s)
        self.totals.append((self.totals[-1] if self.totals else 0.0) + step)
        self._last = value

    def at(self, stamp_s: float) -> Optional[float]:
        """The total at a time; of a time outside the readings the nearest one's, None where there are none."""
        if not self.stamps_s:
            return None
        place = bisect_right(self.stamps_s, stamp_s)
        if place == 0:
            return self.totals[0]
        if place == len(self.stamps_s):
            return self.totals[-1]
        before_s, after_s = self.stamps_s[place - 1], self.stamps_s[place]
        share = (stamp_s - before_s) / (after_s - before_s)
        return self.totals[place - 1] + share * (self.totals[place] - self.totals[place - 1])

    def increase(self, from_s: float, to_s: float) -> Optional[float]:
        """What came between two times; None where nothing was read in them."""
        if len(self.stamps_s) < 2 or from_s >= self.stamps_s[-1] or to_s <= self.stamps_s[0]:
            return None
        first, last = self.at(from_s), self.at(to_s)
        return None if first is None or last is None else last - first

    def mean(self, from_s: float, to_s: float) -> Optional[float]:
        """A gauge's mean between two times: its integral over the time that was covered."""
        if not self.stamps_s:
            return None
        begin_s, end_s = max(from_s, self.stamps_s[0]), min(to_s, self.stamps_s[-1])
        risen = self.increase(begin_s, end_s)
        return None if risen is None or end_s <= begin_s else risen / (end_s - begin_s)

    def forget_before(self, stamp_s: float) -> None:
        """Frees what no later row needs."""
        place = bisect_right(self.stamps_s, stamp_s) - 1
        if place > 0:
            del self.stamps_s[:place], self.totals[:place]


def add_up(parts: Sequence[Optional[float]]) -> Optional[float]:
    """The sum; None if there is nothing to add, or if one of the parts is not known."""
    return None if not parts or any(part is None for part in parts) else sum(part for part in parts if part is not None)
