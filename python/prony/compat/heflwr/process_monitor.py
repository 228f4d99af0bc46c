"""The three monitors, measuring in a process of their own, which outlives a crash of this one."""

from . import _outputs


class FileMonitor(_outputs.FileMonitor):
    __doc__ = _outputs.FileMonitor.__doc__
    _mode = "process"


class PrometheusMonitor(_outputs.PrometheusMonitor):
    __doc__ = _outputs.PrometheusMonitor.__doc__
    _mode = "process"


class RemoteMonitor(_outputs.RemoteMonitor):
    __doc__ = _outputs.RemoteMonitor.__doc__
    _mode = "process"


__all__ = ["FileMonitor", "PrometheusMonitor", "RemoteMonitor"]
