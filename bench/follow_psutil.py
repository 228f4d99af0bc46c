"""follow_psutil.py LOOKS: CPU time of one look of psutil at every process, its name, parent and CPU times, in ns."""
import sys
import time

import psutil

looks = int(sys.argv[1])
list(psutil.process_iter(["pid", "name", "ppid", "cpu_times"]))  # process_iter keeps what it made
begin = time.process_time_ns()
for _ in range(looks):
    seen = [process.info for process in psutil.process_iter(["pid", "name", "ppid", "cpu_times"])]
print((time.process_time_ns() - begin) / looks)
