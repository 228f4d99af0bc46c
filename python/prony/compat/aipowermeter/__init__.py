"""A stand-in for deep_learning_power_measure.power_measure (AIPowerMeter): the same names, files and recorded fields.

``from prony.compat.aipowermeter import experiment, parsers``: one line changes, the program stays. What is recorded with
another meaning than there, because it was wrong or could not be known, is listed in docs/aipowermeter.md.
"""

from . import experiment, parsers

__all__ = ["experiment", "parsers"]
