"""`prony setup` on constructed roots: what it does, what it says first, and that --undo leaves what was there before."""

import os
import pwd
import stat
import subprocess
import unittest

import harness
from harness import Case, needs_root, program

ZONES = ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1")
RULE = os.path.join(harness.ROOT, "packaging/udev/60-prony-rapl.rules")
GROUPS = "root:x:0:\ndaemon:x:1:\n"


class Setup(Case):
    def setUp(self):
        super().setUp()
        self.root = self.path("root")
        for zone in ZONES:
            self.put(f"sys/class/powercap/{zone}/energy_uj", "5\n", 0o400)
        self.put("sys/class/powercap/intel-rapl/enabled", "1\n", 0o644)
        self.put("etc/group", GROUPS)
        self.put("proc/sys/kernel/perf_event_paranoid", "2\n")
        # What the system's own programs would do to the root's /etc/group.
        self.script("usr/sbin/groupadd", 'echo "$2:x:990:" >> "$ROOT/etc/group"')
        self.script("usr/sbin/groupdel", 'sed -i "/^$1:/d" "$ROOT/etc/group"')
        self.script("usr/sbin/usermod", 'sed -i "s/^$3:x:990:.*/&$4/" "$ROOT/etc/group"')
        self.script("usr/bin/gpasswd", 'sed -i "s/^$3:x:990:.*/$3:x:990:/" "$ROOT/etc/group"')

    def at(self, path):
        return os.path.join(self.root, path)

    def put(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.at(path)), exist_ok=True)
        with open(self.at(path), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.at(path), mode)

    def script(self, path, line):
        self.put(path, f"#!/bin/sh\nROOT={self.root}\n{line}\n", 0o755)

    def text(self, path):
        with open(self.at(path), encoding="utf-8") as file:
            return file.read()

    def state(self):
        """Every file of the root: permissions, group, text. What undo must bring back."""
        found = {}
        for where, _, files in os.walk(self.root):
            for name in files:
                path = os.path.join(where, name)
                status = os.stat(path)
                with open(path, encoding="utf-8") as file:
                    found[os.path.relpath(path, self.root)] = (stat.S_IMODE(status.st_mode), status.st_gid, file.read())
        return found

    def zone_modes(self):
        return [stat.S_IMODE(os.stat(self.at(f"sys/class/powercap/{zone}/energy_uj")).st_mode) for zone in ZONES]

    def setup(self, *words, code=0, user=None):
        done = self.prony("setup", *words, "--root", self.root, env={"SUDO_USER": user or ""})
        self.assertEqual(done.returncode, code, done.out + done.err)
        return done

    def test_until_reboot_it_lets_everybody_read_and_undo_takes_exactly_that_back(self):
        before = self.state()
        self.setup("rapl")
        self.assertEqual(self.zone_modes(), [0o444] * 3)
        self.assertIn("nothing to do", self.setup("rapl").out)
        self.setup("rapl", "--undo")
        self.assertEqual(self.state(), before)
        self.assertIn("nothing is on record", self.setup("rapl", "--undo", code=125).err)

    def test_a_dry_run_says_every_step_and_touches_nothing(self):
        before = self.state()
        for words in (("rapl",), ("rapl", "--persist"), ("perf", "--persist"), ("rapl", "--undo")):
            said = self.setup(*words, "--dry-run", user="ann").out
            self.assertEqual(self.state(), before, words)
        said = self.setup("rapl", "--persist", "--dry-run", user="ann").out
        for step in ("groupadd --system prony", "usermod --append --groups prony ann", "60-prony-rapl.rules",
                     *(f"{zone}/energy_uj: 0400 root → 0440 prony" for zone in ZONES)):
            self.assertIn(step, said)

    @needs_root
    def test_for_good_it_takes_a_group_a_rule_and_the_user_who_called_sudo(self):
        before = self.state()
        said = self.setup("rapl", "--persist", user="ann").out
        self.assertIn("log in anew", said)
        self.assertEqual(self.zone_modes(), [0o440] * 3)
        self.assertEqual(os.stat(self.at("sys/class/powercap/intel-rapl:1/energy_uj")).st_gid, 990)
        self.assertIn("prony:x:990:ann", self.text("etc/group"))
        with open(RULE, encoding="utf-8") as shipped:
            self.assertEqual(self.text("etc/udev/rules.d/60-prony-rapl.rules"), shipped.read())
        self.assertIn("nothing to do", self.setup("rapl", "--persist", user="ann").out)
        self.setup("rapl", "--undo")
        self.assertEqual(self.state(), before)

    @needs_root
    def test_once_until_reboot_then_for_good_is_undone_in_one_go(self):
        before = self.state()
        self.setup("rapl")
        self.setup("rapl", "--persist")
        self.assertEqual(self.zone_modes(), [0o444] * 3)  # already readable: only the group is new
        self.setup("rapl", "--undo")
        self.assertEqual(self.state(), before)

    @needs_root
    def test_what_failed_half_way_is_taken_back(self):
        self.put("etc/udev", "a file where a folder must be\n")
        before = self.state()
        done = self.setup("rapl", "--persist", code=125)
        self.assertIn("etc/udev", done.err)
        self.assertIn("taken back", done.err)
        self.assertEqual(self.state(), before)

    @needs_root
    def test_a_command_of_the_system_that_fails_is_named_and_nothing_stays(self):
        self.script("usr/sbin/groupadd", "exit 9")
        before = self.state()
        done = self.setup("rapl", "--persist", code=125)
        self.assertIn("/usr/sbin/groupadd", done.err)
        self.assertIn("code 9", done.err)
        self.assertEqual(self.state(), before)

    def test_what_somebody_else_changed_since_is_left_alone(self):
        self.setup("rapl")
        theirs = self.at("sys/class/powercap/intel-rapl:0/energy_uj")
        os.chmod(theirs, 0o604)
        said = self.setup("rapl", "--undo").out
        self.assertIn("left alone", said)
        self.assertEqual(stat.S_IMODE(os.stat(theirs).st_mode), 0o604)
        self.assertEqual(self.zone_modes()[1:], [0o400] * 2)

    def test_after_a_reboot_undo_finds_all_as_it_was(self):
        self.setup("rapl")
        for zone in ZONES:
            os.chmod(self.at(f"sys/class/powercap/{zone}/energy_uj"), 0o400)
        self.setup("rapl", "--undo")
        self.assertEqual(self.zone_modes(), [0o400] * 3)

    def test_a_damaged_record_undoes_nothing_and_says_so(self):
        self.setup("rapl")
        for text in ("{", "[]", '{"schema": 1, "steps": [{"kind": "value", "path": "etc/x"}]}',
                     '{"schema": 1, "steps": [7]}'):
            self.put("var/lib/prony/setup-rapl.json", text)
            self.assertIn("damaged", self.setup("rapl", "--undo", code=125).err)
            self.assertEqual(self.zone_modes(), [0o444] * 3)

    def test_perf_is_opened_now_or_for_good_and_back(self):
        before = self.state()
        self.setup("perf")
        self.assertEqual(self.text("proc/sys/kernel/perf_event_paranoid"), "0\n")
        self.setup("perf", "--persist")
        self.assertIn("kernel.perf_event_paranoid = 0", self.text("etc/sysctl.d/60-prony-perf.conf"))
        self.setup("perf", "--undo")
        self.assertEqual(self.state(), before)

    def test_a_machine_without_the_thing_says_so_and_a_slip_gets_the_nearest_name(self):
        done = self.prony("setup", "rapl", "--dry-run", "--root", self.path("empty"))
        self.assertEqual(done.returncode, 125)
        self.assertIn("modprobe intel_rapl_msr", done.err)
        self.assertIn("Did you mean 'rapl'?", self.setup("rpal", code=125).err)
        for name in ("rapl", "perf"):
            self.assertIn(name, self.prony("setup").out)

    @needs_root
    def test_without_root_it_says_the_sudo_line(self):
        nobody = pwd.getpwnam("nobody")

        def become():
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)

        copy = self.path("prony")
        with open(program("prony"), "rb") as source, open(copy, "wb") as target:
            target.write(source.read())
        os.chmod(copy, 0o755)
        done = subprocess.run([copy, "setup", "rapl", "--persist"], capture_output=True, text=True, cwd="/", check=False,
                              env=self.environment(), preexec_fn=become, timeout=60)
        self.assertEqual(done.returncode, 125)
        self.assertIn("sudo prony setup rapl --persist", done.stderr)


if __name__ == "__main__":
    harness.main()
