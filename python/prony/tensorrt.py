"""Layers of a TensorRT engine as spans: an IProfiler whose timeline is rebuilt from the layers' durations.

>>> profiler = prony.tensorrt.Profiler(context)                # doctest: +SKIP
>>> with profiler.inference("image", id=3):
...     context.execute_v2(bindings)

TensorRT tells each layer's duration after the work, in order of execution, so when it tells is not when the layer ended.
With durations d₁ … dₙ inside an inference from t₀ to t₁, layer k begins neither before t₀ + d₁ + … + dₖ₋₁ nor after
t₁ − dₖ − … − dₙ. The span lies in the middle of those two, and half their distance is its doubt (``clock_doubt_ns``):
that is (t₁ − t₀ − Σd) / 2 for every layer. Where the durations do not fit into the inference (work beside work, or told of
another one) no layer is placed. A profiler makes TensorRT wait after every layer: measure joules and latency without one.
"""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ._spans import Clock, now_ns, span, stamped_span

try:
    import tensorrt as _tensorrt

    _Base: Any = _tensorrt.IProfiler
except ImportError:  # whoever hands a context over has it
    _Base = object

__all__ = ["Profiler", "place"]


def place(durations_ns: List[int], begin_ns: int, end_ns: int) -> Optional[Tuple[List[Tuple[int, int]], int, int]]:
    """Where layers lie that ran one after the other between two times: (begin, end) of each relative to the first, the
    offset of the first, and the doubt of all; None where they do not fit."""
    slack = end_ns - begin_ns - sum(durations_ns)
    if slack < 0:
        return None
    places, at = [], 0
    for duration in durations_ns:
        places.append((at, at + duration))
        at += duration
    return places, begin_ns + slack // 2, (slack + 1) // 2


class Profiler(_Base):  # type: ignore[misc]
    """An IProfiler that keeps each layer's durations; inside ``inference`` it makes a span for each layer.

    ``context``: an IExecutionContext whose profiler this becomes (or set ``context.profiler`` yourself). One thread at a
    time. ``durations_ms`` has every duration that was told, by layer; ``unplaced`` counts those that no span could be
    made of: told outside of an inference, or more than its time holds.
    """

    def __init__(self, context: Any = None, *, clock: str = "tensorrt") -> None:
        _Base.__init__(self)
        self._clock = clock
        self._told: Optional[List[Tuple[str, float]]] = None
        self.durations_ms: Dict[str, List[float]] = {}
        self.unplaced = 0
        self._context = context
        if context is not None:
            context.profiler = self

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        """TensorRT calls it. Nothing is written here: it may be between two layers."""
        self.durations_ms.setdefault(layer_name, []).append(ms)
        if self._told is None:
            self.unplaced += 1
        else:
            self._told.append((layer_name, ms))

    @contextlib.contextmanager
    def inference(self, name: str = "inference", **values: Any) -> Iterator[span]:
        """Around one execution that is over when the block ends (``execute_v2``, or ``execute_async_v3`` and a wait for
        its stream). A span of kind "batch", whose layers are inside; ``unattributed_ns`` is what no layer explains."""
        if self._told is not None:
            raise RuntimeError("an inference is under way already: one at a time")
        self._told = []
        try:
            with span(name, kind="batch", **values) as outer:
                begin_ns = now_ns()
                yield outer
                end_ns = now_ns()
                self._write(outer, begin_ns, end_ns)
        finally:
            self._told = None

    def _write(self, outer: span, begin_ns: int, end_ns: int) -> None:
        told = self._told or []
        if not told:
            outer.set(absent="no layer was told: is the profiler set on the context, and enqueue_emits_profile on?")
            return
        durations = [max(0, round(ms * 1e6)) for _, ms in told]
        placed = place(durations, begin_ns, end_ns)
        if placed is None:
            self.unplaced += len(told)
            outer.set(absent=f"layers are not placed: they add up to {sum(durations)} ns, and the inference lasted {end_ns - begin_ns} ns")
            return
        places, offset_ns, doubt_ns = placed
        clock = Clock(self._clock, offset_ns, doubt_ns)
        for (layer, _), (begin, end) in zip(told, places):
            stamped_span(layer, begin, end, clock, kind="layer", parent=outer.id)
        outer.set(layers=len(told), unattributed_ns=end_ns - begin_ns - sum(durations))
