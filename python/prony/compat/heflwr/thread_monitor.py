"""The three monitors, measuring in threads of this program."""

from . import _outputs


class FileMonitor(_outputs.FileMonitor):
    __doc__ = _outputs.FileMonitor.__doc__
    _mode = "thread"


class PrometheusMonitor(_outputs.PrometheusMonitor):
    __doc__ = _outputs.PrometheusMonitor.__doc__
    _mode = "thread"


class RemoteMonitor(_outputs.RemoteMonitor):
    __doc__ = _outputs.RemoteMonitor.__doc__
    _mode = "thread"


__all__ = ["FileMonitor", "PrometheusMonitor", "RemoteMonitor"]
