"""A summary's joules as typed rows: each with low and high, where it comes from, or the reason why it is not there."""

from __future__ import annotations

import ctypes
import json
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ._errors import ErrorCode
from ._library import JoulesStruct, check, decode, meter


@dataclass(frozen=True)
class Joules:
    """One party's joules of one channel in the measured window.

    ``party``: "gross" (all that the domain drew in the window), "active" (gross above idle), "marginal", "target" (charged
    to ``target``), "foreign", "prony", "idle", "unattributed"; "recorded" is of the whole Run. ``origin``: "measured",
    "derived" or "modelled". ``kind`` is what low and high promise: "bound", "interval(0.95)" or "range". Where there is no
    number the three are None and ``absent`` says why.
    """

    channel: str
    domain: str
    party: str
    target: Optional[str]
    origin: str
    value_j: Optional[float]
    low_j: Optional[float]
    high_j: Optional[float]
    kind: Optional[str]
    absent: Optional[str]
    headline: bool
    resolvable: bool

    def __str__(self) -> str:
        if self.value_j is None:
            return f"– ({self.absent})"
        return f"{self.value_j:.4g} J ({self.low_j:.4g}…{self.high_j:.4g}) {self.origin}"


def _joules_of(struct: JoulesStruct) -> Joules:
    there = bool(struct.present)
    return Joules(decode(struct.channel) or "", decode(struct.domain) or "", decode(struct.party) or "",
                  decode(struct.target), decode(struct.origin) or "", struct.value_j if there else None,
                  struct.low_j if there else None, struct.high_j if there else None, decode(struct.kind),
                  decode(struct.absent), bool(struct.headline), bool(struct.resolvable))


@dataclass(frozen=True)
class Summary:
    """The same numbers as `prony show`. ``provisional``: measuring went on when they were told.

    ``begin_ns``, ``end_ns`` and ``wall_s`` are of the measured window; None where nothing of it is on record yet, which
    is so for up to a second after a start.
    """

    rows: Tuple[Joules, ...]
    headline: Optional[Joules]
    begin_ns: Optional[int]
    end_ns: Optional[int]
    exit_code: Optional[int]
    exit_signal: Optional[int]
    provisional: bool
    path: str
    json_text: str = field(repr=False)

    @property
    def wall_s(self) -> Optional[float]:
        """Length of the measured window."""
        if self.begin_ns is None or self.end_ns is None:
            return None
        return (self.end_ns - self.begin_ns) / 1e9

    @property
    def data(self) -> Dict[str, Any]:
        """Everything that `prony show --json` prints (schema prony.summary/1)."""
        return dict(json.loads(self.json_text))

    def of(self, party: str, *, channel: Optional[str] = None, target: Optional[str] = None) -> List[Joules]:
        """The rows of a party, of all channels and targets or of one."""
        return [row for row in self.rows if row.party == party and channel in (None, row.channel)
                and target in (None, row.target)]

    def __iter__(self) -> Iterator[Joules]:
        return iter(self.rows)

    def __str__(self) -> str:
        return "\n".join([f"headline: {self.headline}" if self.headline else "no channel gives joules"] + [
            f"{row.channel} {row.party}{' ' + row.target if row.target else ''}: {row}" for row in self.rows])

    def _repr_html_(self) -> str:
        from ._notebook import summary_html

        return summary_html(self)


def take_summary(handle: ctypes.c_void_p, path: str, provisional: bool) -> Summary:
    """Reads a ``prony_summary`` of the library and frees it."""
    library = meter()
    try:
        rows = []
        for index in range(library.prony_summary_count(handle)):
            struct = JoulesStruct(struct_size=ctypes.sizeof(JoulesStruct))
            check(library.prony_summary_joules(handle, index, struct))
            rows.append(_joules_of(struct))
        struct = JoulesStruct(struct_size=ctypes.sizeof(JoulesStruct))
        headline = None if _absent(library.prony_summary_headline(handle, struct)) else _joules_of(struct)
        begin, end = ctypes.c_int64(), ctypes.c_int64()
        begun = not _absent(library.prony_summary_window(handle, begin, end))
        code, signal = ctypes.c_int(), ctypes.c_int()
        ended = not _absent(library.prony_summary_exit(handle, code, signal))
        text = decode(library.prony_summary_json(handle)) or "{}"
        return Summary(tuple(rows), headline, begin.value if begun else None,
                       end.value if begun else None, code.value if ended else None,
                       signal.value if ended and signal.value else None, provisional, path, text)
    finally:
        library.prony_summary_free(handle)


def _absent(code: int) -> bool:
    if code == int(ErrorCode.ABSENT):
        return True
    check(code)
    return False
