"""tools/setup-pi.sh in an arm64 Debian: from a fresh system to a set-up one and back.

Kills: a script that only works with this machine's tools, a step done twice, an undo that leaves something.
"""

import os
import shutil

from arm64_root import Arm64Case
import harness

CONFIG = "dtparam=audio=on\n[cm4]\notg_mode=1\n"


class SetupPi(Arm64Case):
    script = "setup-pi.sh"

    def setUp(self):
        super().setUp()
        self.put("boot/firmware/config.txt", CONFIG)
        self.put("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")

    def test_it_is_set_up_by_its_own_programs_once_and_given_back(self):
        self.assertIn("aarch64", self.enter("uname", "-m"))
        self.archive("/bin/true")
        before = self.files()
        steps = ["perf", "access", "prony", "hailo", "pcie-gen3"]
        self.assertIn("left    pcie-gen3", self.setup("--dry-run", *steps))
        self.assertEqual(self.files(), before)
        self.setup("--archive", "/prony.tar.gz", *steps)
        after, told = self.files(), self.get("told")
        self.assertIn("dtparam=pciex1_gen=3", self.get("boot/firmware/config.txt"))
        self.assertEqual(self.get("var/lib/prony-setup/hailo"), "hailo-all\nhailort\n")
        for call in ("sysctl -q -p /etc/sysctl.d/60-prony.conf", "usermod -aG video pi", "udevadm control --reload",
                     "apt-cache show hailo-all", "apt-get -q install -y hailo-all"):
            self.assertIn(call + "\n", told)
        self.assertEqual(self.setup("--archive", "/prony.tar.gz", *steps).count("there   "), len(steps))
        self.setup("--check", *steps)
        self.assertEqual((self.files(), self.get("told")), (after, told))
        self.setup("--undo")
        self.assertEqual(self.files(), before)
        undone = self.get("told")[len(told):]
        self.assertIn("apt-get -q remove -y hailo-all hailort\n", undone)
        self.assertIn("gpasswd -d pi video\n", undone)
        self.assertIn("sysctl -q -w kernel.perf_event_paranoid=4\n", undone)

    def test_somebody_who_is_in_group_video_stays_there(self):
        self.put("etc/group", "root:x:0:\nvideo:x:44:pi\npi:x:1000:\n")
        self.setup("access")
        self.setup("--undo")
        self.assertNotIn("video", self.get("told"))

    def test_the_packages_that_are_missing_are_asked_for_by_name(self):
        self.assertIn("left    packages", self.setup("--dry-run", "packages"))
        self.setup("packages")
        install = next(line for line in self.get("told").splitlines() if " install " in line)
        for name in ("cmake", "g++", "libfmt-dev", "libsqlite3-dev"):
            self.assertIn(f" {name}", install)

    def test_swap_is_made_and_taken_back(self):
        if shutil.disk_usage(self.folder).free < 3 << 30:
            self.skipTest("less than 3 GiB are free for a swap file of 1 GiB")
        before = self.files()
        self.setup("--swap-gib", "1", "swap")
        self.assertEqual(os.path.getsize(self.path("upper/var/prony.swap")), 1 << 30)
        self.assertIn("mkswap -q /var/prony.swap\nswapon /var/prony.swap\n", self.get("told"))
        self.setup("--undo")
        self.assertEqual(self.files(), before)

    def test_prony_that_was_unpacked_runs_there(self):
        program = os.path.join(harness.ROOT, "build/aarch64/prony")
        if not os.path.exists(program):
            self.skipTest("Prony for aarch64 was not built (tools/run_tests.py --stages aarch64)")
        self.archive(program)
        self.setup("--archive", "/prony.tar.gz", "prony")
        self.assertRegex(self.enter("prony", "sensors"), r"self +ready")


if __name__ == "__main__":
    harness.main()
