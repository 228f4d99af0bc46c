"""Prony inside a container: the image's last stage as a root folder, entered with namespaces of its own, no engine."""

import os
import shutil
import signal
import subprocess
import sys

import harness
from harness import Case, program

SCRIPT = os.path.join(harness.ROOT, "tools/container_root.py")
FOLDER = os.path.join(harness.ROOT, "build/container-root")


class Container(Case):
    @classmethod
    def setUpClass(cls):
        done = subprocess.run([sys.executable, SCRIPT, program("prony"), FOLDER],
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


class Mounts(Case):
    """What a build that is killed leaves behind: nothing that whoever cleans up could walk into."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "--propagation", "private", "true"], check=False,
                                               stderr=subprocess.DEVNULL).returncode:
            self.skipTest("mounts of one's own may not be made here")
        self.root = self.path("root")
        # Before the folder goes, also when the test fails.
        self.addCleanup(subprocess.run, ["umount", "-q", self.root + "/proc"], check=False, stderr=subprocess.DEVNULL)

    def mounted(self):
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            return [line for line in file if self.root in line]

    def test_a_build_that_is_killed_leaves_no_mount(self):
        os.mkfifo(self.path("told"))
        os.mkdir(self.path("bin"))
        with open(self.path("bin/mmdebstrap"), "w", encoding="utf-8") as file:  # as the real one begins
            file.write(f"#!/bin/sh\nmkdir -p '{self.root}/proc' && mount -t proc proc '{self.root}/proc' || exit 1\n"
                       f"cat '{self.root}/proc/self/comm' >'{self.path('told')}'\nexec sleep 60\n")
        os.chmod(self.path("bin/mmdebstrap"), 0o755)
        build = subprocess.Popen([sys.executable, SCRIPT, program("prony"), self.root], start_new_session=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 env={**os.environ, "PATH": self.path("bin") + ":" + os.environ["PATH"]})
        try:
            with open(self.path("told"), encoding="ascii") as file:
                self.assertEqual(file.read(), "cat\n")  # it was mounted, where the build sees it
            self.assertEqual(self.mounted(), [])
        finally:
            os.killpg(build.pid, signal.SIGKILL)
            build.wait()
        self.assertEqual(self.mounted(), [])
        shutil.rmtree(self.root)

    def test_a_folder_into_which_something_is_mounted_is_not_removed(self):
        line = ("import sys; sys.path.insert(0, sys.argv[1]); import container_root, os; os.makedirs(sys.argv[2] + '/x'); "
                "os.system('mount -t tmpfs none ' + sys.argv[2] + '/x'); open(sys.argv[2] + '/x/kept', 'w').close(); "
                "print(container_root.remove(sys.argv[2]), os.path.exists(sys.argv[2] + '/x/kept'))")
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", sys.executable, "-c", line,
                               os.path.dirname(SCRIPT), self.root], capture_output=True, text=True, check=False)
        self.assertEqual(done.stdout, "False True\n", done.stderr)
        self.assertIn("is mounted; unmount it first", done.stderr)


if __name__ == "__main__":
    harness.main()
