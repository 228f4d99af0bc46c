"""tools/setup-jetson.sh in an arm64 Debian: from a fresh system to a set-up one and back.

Kills: a power mode or clocks that stay at their largest after the undo, a step done twice, an undo that leaves something.
"""

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


if __name__ == "__main__":
    harness.main()
