"""The real binary beside programs that answer for a board or a BMC: a vcgencmd and an ipmitool of our own in PATH.

Kills: a program run by its full path or through a shell, output of another form taken for watts, joules of a power that
the program did not tell, a program that fails or hangs stopping the Run.
"""

import os
import shutil
import stat
import subprocess

import harness
from harness import Case, energy, needs_root

IPMITOOL = """#!/bin/sh
[ "$*" = "dcmi power reading" ] || exit 9
[ "$LC_ALL" = C ] || exit 8
printf '\\n    Instantaneous power reading:                   220 Watts\\n'
printf '    Average power reading over sample period:      182 Watts\\n'
printf '    Sampling period:                          1000 Milliseconds\\n'
printf '    Power reading state is:                   activated\\n\\n'
"""
VCGENCMD = """#!/bin/sh
case "$*" in
  pmic_read_adc) printf '  VDD_CORE_V volt(15)=0.80000000V\\n 3V3_SYS_A current(1)=0.30000000A\\n'
    printf '  VDD_CORE_A current(7)=5.00000000A\\n   3V3_SYS_V volt(9)=3.30000000V\\n     EXT5V_V volt(24)=5.10000000V\\n' ;;
  measure_temp) echo "temp=61.5'C" ;;
  'measure_clock arm') echo 'frequency(0)=2400023808' ;;
  'measure_volts core') echo 'volt=0.8974V' ;;
  get_throttled) echo 'throttled=0x50000' ;;
  *) echo 'error=1 error_msg="Command not registered"'; exit 255 ;;
esac
"""


class Board(Case):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("bin"))
        self.search = self.path("bin") + ":" + os.environ.get("PATH", "/usr/bin:/bin")

    def give(self, name, text):
        path = self.path("bin", name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

    def test_a_bmc_behind_ipmitool_gives_the_machines_power_and_is_added_to_nothing(self):
        if os.path.exists("/dev/ipmi0"):
            self.skipTest("this machine has a BMC of its own")
        self.give("ipmitool", IPMITOOL)
        summary = self.record(["sleep", "5"], env={"PATH": self.search})
        row = energy(summary, "ipmi.wall.power")
        self.assertEqual((row["origin"], row["coverage_known"]), ("measured", False))
        self.assertAlmostEqual(row["mean_w"], 220, delta=1)
        self.assertIn("averages its statistics over 1000 ms (182 W now)", str(summary["unavailable"]))

    def test_an_ipmitool_that_fails_says_why_and_the_run_goes_on(self):
        if os.path.exists("/dev/ipmi0"):
            self.skipTest("this machine has a BMC of its own")
        self.give("ipmitool", "#!/bin/sh\necho 'Could not open device at /dev/ipmi0' >&2; exit 1\n")
        summary = self.record(["sh", "-c", "exit 3"], code=3, env={"PATH": self.search})
        reasons = {one["name"]: one["reason"] for one in summary["unavailable"]}
        self.assertEqual(reasons["ipmi"], "ipmitool: told no power, exit code 1: Could not open device at /dev/ipmi0")

    def left_behind(self):
        """Programs of this test that go on after it asked for their end."""
        found = subprocess.run(["pgrep", "-f", f"^sleep 977 {os.path.basename(self.folder)} 60$"], capture_output=True, check=False)
        return found.stdout.split()

    def hanging(self, answers, how=""):
        """An ipmitool that answers so many times and then hangs: in a child of its own, or itself."""
        name = os.path.basename(self.folder)
        return IPMITOOL.replace("#!/bin/sh\n", f"""#!/bin/sh
echo asked >>"{self.path('asked')}"
if [ $(wc -l <"{self.path('asked')}") -gt {answers} ]; then {how} bash -c 'exec -a "sleep 977 {name}" sleep 60'; fi
""")

    def test_an_ipmitool_that_hangs_is_given_up_with_its_children_and_the_run_goes_on(self):
        if os.path.exists("/dev/ipmi0"):
            self.skipTest("this machine has a BMC of its own")
        if shutil.which("bash") is None:
            self.skipTest("no bash to give a process a name")
        self.give("ipmitool", self.hanging(0))
        summary = self.record(["sh", "-c", "exit 4"], code=4, env={"PATH": self.search})
        reasons = {one["name"]: one["reason"] for one in summary["unavailable"]}
        self.assertIn("ipmitool: ", reasons["ipmi"])
        self.assertIn("did not end within 5000 ms", reasons["ipmi"])
        self.assertFalse([row for row in summary["energy"] if row["channel"].startswith("ipmi")])
        self.assertEqual(self.left_behind(), [])

    def test_an_ipmitool_that_begins_to_hang_in_mid_run_is_a_gap_with_its_reason(self):
        if os.path.exists("/dev/ipmi0"):
            self.skipTest("this machine has a BMC of its own")
        if shutil.which("bash") is None:
            self.skipTest("no bash to give a process a name")
        self.give("ipmitool", self.hanging(4, how="exec"))
        summary = self.record(["sleep", "20"], env={"PATH": self.search})
        row = energy(summary, "ipmi.wall.power")
        self.assertGreater(row["gap_s"], 1)  # an answer counts for ten seconds, and no longer
        self.assertAlmostEqual(row["ledger"]["recorded_j"] / (summary["wall_s"] - row["gap_s"]), 220, delta=22)
        lost = [e["text"] for e in summary["events"] if e["kind"] == "sensor-lost" and e["subject"] == "ipmi.wall.power"]
        self.assertEqual(len(lost), 1, summary["events"])
        self.assertIn("ipmitool", lost[0])
        self.assertEqual(self.left_behind(), [])

    @needs_root
    def test_vcgencmd_stands_in_for_a_firmware_whose_device_does_not_answer(self):
        """A plain file as /dev/vcio in a name space of mounts of our own: it opens, and refuses every control."""
        self.give("vcgencmd", VCGENCMD)
        inside = ("mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 && "
                  ": > /dev/vcio && exec \"$@\"")
        done = self.prony_in(["unshare", "-m", "--propagation", "private", "sh", "-c", inside, "sh"], "run", "--out",
                             self.path("x.prony"), "--json", self.path("x.json"), "--", "sleep", "6")
        if "unshare" in done.err and done.returncode == 1:
            self.skipTest("no name space of mounts is to be had: " + done.err.strip())
        self.assertEqual(done.returncode, 0, done.err)
        summary = self.load("x.json")
        for channel, watts in {"raspberry.rails.power": 4.99, "raspberry.core.power": 4.0, "raspberry.3v3-sys.power": 0.99}.items():
            row = energy(summary, channel)
            self.assertAlmostEqual(row["mean_w"], watts, places=3)
            self.assertLessEqual(row["low_j"], row["gross_j"])
        self.assertEqual(summary["headline"]["gross_j"], energy(summary, "raspberry.rails.power")["gross_j"])
        self.assertIn("asked through vcgencmd once a second", str(summary["unavailable"]))
        self.assertEqual(summary["machine"]["held_back_since_boot"], "under-voltage, throttled")

    def mailbox(self, board, after_ms="0"):
        """A /dev/vcio for the real binary, by a library that is loaded before the C library."""
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            self.skipTest("no C compiler for the library that answers for the firmware")
        if os.path.exists("/dev/vcio"):
            self.skipTest("this machine has a firmware of its own")
        library = self.path("vcio.so")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, os.path.join(harness.HERE, "vcio_mailbox.c")],
                       check=True)
        return {"LD_PRELOAD": library, "PRONY_TEST_PI": board, "PRONY_TEST_STEP_AFTER_MS": after_ms}

    def test_the_mailbox_of_a_pi_5_is_asked_by_the_real_binary_and_its_joules_are_those_of_the_script(self):
        # 2 W of the core for two seconds, then 6 W; 0.33 W of another rail throughout.
        before = self.prony("sensors", "--json", env=self.mailbox("5"))
        self.assertIn("raspberry.core.power", before.out)
        summary = self.record(["sleep", "4"], env=self.mailbox("5", after_ms="2000"))
        core, rails = energy(summary, "raspberry.core.power"), energy(summary, "raspberry.rails.power")
        # When it steps is counted from the first question, while the sensors are probed: a little before the window, and
        # the test's own clock does not know by how much. So the truth lies between a step at once and one after 2 s.
        least, most = 2.0 * 2 + 6.0 * (summary["wall_s"] - 2), 6.0 * summary["wall_s"]
        self.assertLessEqual(core["low_j"], most)
        self.assertGreaterEqual(core["high_j"], least)
        self.assertAlmostEqual(core["peak_w"], 6.0, places=6)
        self.assertAlmostEqual(rails["peak_w"], 6.33, places=6)
        self.assertAlmostEqual(rails["mean_w"] - core["mean_w"], 0.33, places=3)
        temperature = [c for c in self.table("x.prony", "samples") if c.get("raspberry.soc.temperature_celsius") == 55.5]
        self.assertTrue(temperature)
        self.assertTrue(any(c.get("raspberry.throttled.reasons_count") == 1 for c in self.table("x.prony", "samples")))

    def test_the_mailbox_of_a_pi_4_has_no_rails_and_says_what_works_instead(self):
        summary = self.record(["sleep", "1"], env=self.mailbox("4"))
        reasons = {one["name"]: one for one in summary["unavailable"]}
        self.assertIn("it says: Command not registered", reasons["raspberry.rails"]["reason"])
        self.assertFalse([row for row in summary["energy"] if row["channel"].startswith("raspberry")])
        self.assertTrue(any(c.get("raspberry.arm.frequency_hz") == 1.8e9 for c in self.table("x.prony", "samples")))

    def prony_in(self, before, *words):
        done = subprocess.run([*before, harness.program("prony"), *words], capture_output=True, cwd=self.folder, timeout=120,
                              stdin=subprocess.DEVNULL, env=self.environment(PATH=self.search), check=False)
        done.err = done.stderr.decode(errors="replace")
        return done


if __name__ == "__main__":
    harness.main()
