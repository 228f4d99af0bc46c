"""A stand-in for heflwr.monitor and heflwr.log (HeFlwr 0.1.9): the same names, keys, defaults and errors.

``from prony.compat.heflwr.process_monitor import FileMonitor``: one line changes, the program stays. What is measured
otherwise than there, because it was wrong or could not be known, is listed in docs/python.md.
"""

from . import log, process_monitor, thread_monitor

__all__ = ["log", "process_monitor", "thread_monitor"]
