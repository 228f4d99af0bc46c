"""Prony: what a stretch of this program costs, in joules, time and memory.

>>> import prony
>>> with prony.Meter(simulate="laptop") as meter:
...     with prony.span("prompt", id=3):
...         answer = sum(range(10_000))
>>> print(meter.summary().headline)        # doctest: +SKIP
0.41 J (0.35…0.47) measured

``span`` marks stretches of time, ``Meter`` measures, ``open_run`` reads what was recorded. Needs Linux and nothing but
Python's standard library; numpy, pandas, polars and pyarrow are used where you ask for them. Prints nothing.
``prony.torch``, ``prony.transformers``, ``prony.tensorrt``: spans of models; ``prony.complexity``: what a model computes.
"""

from ._arrow import Column, Table
from ._errors import (AbsentError, DeniedError, ErrorCode, MalformedError, PronyError, StateError, UnavailableError,
                      UsageError)
from ._meter import Meter
from ._run import Channel, Readings, Run, SpanRecord, open_run
from ._spans import Clock, complete_span, current_span, now_ns, recording, span, stamped_span
from ._summary import Joules, Summary

__version__ = "0.1.0"
__all__ = ["AbsentError", "Channel", "Clock", "Column", "DeniedError", "ErrorCode", "Joules", "MalformedError", "Meter",
           "PronyError", "Readings", "Run", "SpanRecord", "StateError", "Summary", "Table", "UnavailableError",
           "UsageError", "complete_span", "current_span", "now_ns", "open_run", "recording", "span", "stamped_span"]
