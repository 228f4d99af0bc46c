"""Prony inside a container: the image's last stage as a root folder, entered with namespaces of its own, no engine."""

import os
import subprocess
import sys

import harness
from harness import Case, program

FOLDER = os.path.join(harness.ROOT, "build/container-root")


class Container(Case):
    @classmethod
    def setUpClass(cls):
        done = subprocess.run([sys.executable, os.path.join(harness.ROOT, "tools/container_root.py"), program("prony"), FOLDER],
                              capture_output=True, text=True, timeout=900, check=False)
        cls.reason = None if done.returncode == 0 else (done.stderr.strip() or "it could not be built")

    def setUp(self):
        super().setUp()
        if self.reason:
            self.skipTest(self.reason)

    def enter(self, command, *flags, before=""):
        """A shell line in the root folder, with mounts of its own; `before` runs outside it, where $R is the folder."""
        script = ('set -e; mount -t tmpfs none "$R/runs"; mount --rbind /sys "$R/sys"; mount -o remount,bind,ro "$R/sys"; '
                  f'mount --bind /dev "$R/dev"; mount -t proc proc "$R/proc"; {before}\n'
                  f'exec chroot "$R" /bin/sh -c \'{command}\'')
        done = subprocess.run(["unshare", "--mount", "--propagation=private", "--fork", *flags, "sh", "-c", script],
                              capture_output=True, text=True, timeout=120, check=False,
                              env={"R": FOLDER, "PATH": os.environ["PATH"], "HOME": "/root", "container": "podman"})
        if "Operation not permitted" in done.stderr and not done.stdout:
            self.skipTest("namespaces and mounts may not be made here: " + done.stderr.strip()[-200:])
        return done

    MARK = 'touch "$R/run/.containerenv"; '

    def test_it_measures_there_and_says_what_it_can_see(self):
        done = self.enter("cd /runs && prony run -- sh -c \"i=0; while [ \\$i -lt 200000 ]; do i=\\$((i+1)); done\"",
                          "--pid", before=self.MARK)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("inside podman", done.stderr)
        told = " ".join(done.stderr.split())
        self.assertIn("processes: this container's alone", told)
        self.assertIn("energy:", told)

    def test_with_the_hosts_processes_it_says_that_it_sees_them(self):
        with open("/proc/2/comm", encoding="ascii") as file:
            if file.read().strip() != "kthreadd":
                self.skipTest("the tests themselves run in a namespace of processes")
        done = self.enter("cd /runs && prony run --pid 1 --for 1s", before=self.MARK)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("processes: the whole machine's", " ".join(done.stderr.split()))

    def test_the_doctor_runs_there(self):
        done = self.enter("prony doctor", "--pid", before=self.MARK)
        self.assertIn(done.returncode, (0, 1), done.stderr)  # 1: it found something that keeps joules from being measured
        self.assertIn("Podman", done.stdout)


if __name__ == "__main__":
    harness.main()
