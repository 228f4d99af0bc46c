"""tools/setup-jetson.sh in an arm64 Debian: from a fresh system to a set-up one and back.

Kills: a power mode or clocks that stay at their largest after the undo, a step done twice, an undo that leaves something.
"""

import os
import shutil
import subprocess
import sys

from arm64_root import Arm64Case
import harness

# What NVIDIA's programs do here: note the call; nvpmodel -q tells the mode, jetson_clocks --store keeps the clocks.
NVPMODEL = '#!/bin/sh\necho "nvpmodel $*" >>/told\n[ "$1" != -q ] || printf "NV Power Mode: MODE_15W\\n2\\n"\n'
JETSON_CLOCKS = '#!/bin/sh\necho "jetson_clocks $*" >>/told\n[ "$1" != --store ] || echo clocks >"$2"\n'
STEPS = ["perf", "memory-load", "max-power"]


class SetupJetson(Arm64Case):
    script = "setup-jetson.sh"

    def setUp(self):
        super().setUp()
        self.put("proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\0")
        for name, text in (("nvpmodel", NVPMODEL), ("jetson_clocks", JETSON_CLOCKS)):
            self.put("usr/local/sbin/" + name, text, 0o755)
        for name in ("systemctl", "mount"):
            self.put("usr/local/sbin/" + name, f'#!/bin/sh\necho "{name} $*" >>/told\n', 0o755)

    def test_it_is_set_up_once_and_given_back_with_its_power_mode_and_clocks(self):
        self.assertIn("aarch64", self.enter("uname", "-m"))
        self.archive("/bin/true")
        before = self.files()
        self.setup("--archive", "/prony.tar.gz", "prony", *STEPS)
        after, told = self.files(), self.get("told")
        for call in ("sysctl -q -p /etc/sysctl.d/60-prony.conf", "nvpmodel -q", "jetson_clocks --store /var/lib/prony-setup-clocks",
                     "systemctl start prony-max-power.service", "mount -o remount,mode=755 /sys/kernel/debug"):
            self.assertIn(call + "\n", told)
        self.assertEqual(self.setup("--archive", "/prony.tar.gz", "prony", *STEPS).count("there   "), 4)
        self.assertEqual((self.files(), self.get("told")), (after, told))
        self.setup("--undo")
        self.assertEqual(self.files(), before)
        undone = self.get("told")[len(told):]
        for call in ("jetson_clocks --restore /var/lib/prony-setup-clocks", "nvpmodel -m 2",
                     "sysctl -q -w kernel.perf_event_paranoid=4", "mount -o remount,mode=700 /sys/kernel/debug"):
            self.assertIn(call + "\n", undone)

    def test_where_the_mode_was_not_told_the_undo_says_what_to_do(self):
        self.put("usr/local/sbin/nvpmodel", "#!/bin/sh\nexit 1\n", 0o755)
        self.setup("max-power")
        self.assertIn("nvpmodel -m MODE", self.setup("--undo"))

    def real_archive(self):
        """Of the cross-built Prony, put where the system inside sees it."""
        build = os.path.join(harness.ROOT, "build/aarch64")
        if not os.path.exists(os.path.join(build, "prony")) or not shutil.which("aarch64-linux-gnu-strip"):
            self.skipTest("no aarch64 build in build/aarch64 (make test-aarch64 makes one)")
        done = subprocess.run([sys.executable, os.path.join(harness.ROOT, "tools/make_archive.py"), "--from", build, self.path("out")],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        for end in ("", ".sha256"):
            shutil.copy(done.stdout.strip() + end, self.path("upper"))
        return "/" + os.path.basename(done.stdout.strip())

    def test_an_archive_of_the_cross_build_is_unpacked_and_measures_with_its_own_libraries(self):
        path = self.real_archive()
        before = self.files()
        self.setup("--archive", path, "perf", "prony")
        listed = self.enter("/usr/local/bin/prony", "sensors", "--simulate", "jetson-orin")
        self.assertIn("VDD_IN", listed)
        loaded = self.enter("/lib/ld-linux-aarch64.so.1", "--list", "/usr/local/bin/prony")
        for name in ("libfmt.so", "libsqlite3.so", "libzstd.so"):
            line, = [one for one in loaded.splitlines() if name in one]
            self.assertIn("/usr/local/", line)
        self.setup("--undo")
        self.assertEqual(self.files(), before)

    def test_an_archive_for_a_newer_system_or_another_machine_is_refused_before_anything_is_unpacked(self):
        path = self.real_archive()
        self.put("usr/local/sbin/getconf", "#!/bin/sh\necho glibc 2.31\n", 0o755)
        before = self.files()
        self.assertIn("and this system has 2.31", self.setup("--archive", path, "prony", code=1))
        self.put("usr/local/sbin/getconf", "#!/bin/sh\necho glibc 2.36\n", 0o755)
        self.put("usr/local/sbin/uname", "#!/bin/sh\necho riscv64\n", 0o755)
        self.assertIn("is for aarch64, and this is riscv64", self.setup("--archive", path, "prony", code=1))
        self.assertEqual({n for n in self.files() if "sbin" not in n}, {n for n in before if "sbin" not in n})


if __name__ == "__main__":
    harness.main()
