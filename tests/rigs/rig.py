"""Starts and ends the FUSE rig; used by the rig's own tests, the end-to-end tests and `make demo`'s truth check."""

import ctypes
import json
import os
import select
import signal
import subprocess
import tempfile
import time

from truth import Truth


def why_no_fuse():
    """None where a FUSE mount can be tried here; else the reason and what would mend it."""
    if not os.path.exists("/dev/fuse"):
        return "/dev/fuse is not here: load it with 'modprobe fuse', or start the container with --device /dev/fuse"
    if os.geteuid() != 0 and not any(
        os.access(os.path.join(d, "fusermount3"), os.X_OK) for d in os.environ.get("PATH", "").split(":")
    ):
        return "mounting as an ordinary user takes fusermount3: install the package fuse3"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"/dev/fuse may not be opened ({error.strerror}): run as root, or let your user open it"
    return None


class RigError(RuntimeError):
    pass


class Rig:
    """A mounted tree: `with Rig(program, ["--zone", "…"]) as rig: … rig.path …`. Leaves no mount behind."""

    def __init__(self, program, options=()):
        self.path = tempfile.mkdtemp(prefix="prony-rig-")
        os.chmod(self.path, 0o755)
        self.process = subprocess.Popen(
            [program, self.path, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            stdin=subprocess.DEVNULL,
        )
        try:  # it stands for the kernel, which does not queue behind the workload
            os.setpriority(os.PRIO_PROCESS, self.process.pid, -15)
        except OSError:
            pass
        ready, _, _ = select.select([self.process.stdout], [], [], 10)
        line = self.process.stdout.readline().strip() if ready else ""
        if line != "ready":
            self.process.kill()
            _, complaint = self.process.communicate()
            self._remove()
            raise RigError(complaint.strip() or "the rig did not get ready")
        with open(os.path.join(self.path, "truth.json"), encoding="utf-8") as file:
            self.truth = Truth(json.load(file))

    def fault(self, name, word):
        """Switches a fault: rig.fault("package-0", "eio"); word "ok" ends it."""
        with open(os.path.join(self.path, "control"), "w", encoding="utf-8") as file:
            file.write(f"{name} {word}")

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
        self._remove()

    def _remove(self):
        # A rig that was killed leaves a dead mount ("transport endpoint is not connected"): take it off as well.
        for _ in range(50):
            if not is_mounted(self.path):
                break
            if os.geteuid() == 0:
                ctypes.CDLL(None, use_errno=True).umount2(self.path.encode(), 2)  # MNT_DETACH
            else:
                subprocess.run(["fusermount3", "-u", "-z", self.path], check=False, capture_output=True)
            time.sleep(0.02)
        os.rmdir(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def is_mounted(path):
    with open("/proc/self/mounts", encoding="utf-8") as file:
        return any(line.split(" ")[1] == path for line in file)
