"""tools/setup-pi.sh on a constructed root, and the page that leads to it.

Kills: a dry run that writes, a step done again, lines of config.txt that are somebody else's lost, a generation set twice, an
undo that leaves or takes more than was done, a page whose commands are not there.
"""

import os
import re
import shlex
import subprocess

import harness
from board_setup import BoardSetup

QUICK = ["perf", "access", "pcie-gen3"]
CONFIG = "# a comment\ndtparam=audio=on\n[cm4]\notg_mode=1\n"


class SetupPi(BoardSetup):
    script = os.path.join(harness.ROOT, "tools/setup-pi.sh")

    def setUp(self):
        super().setUp()
        self.put("boot/firmware/config.txt", CONFIG)
        self.put("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")

    def config(self):
        with open(os.path.join(self.root, "boot/firmware/config.txt"), encoding="utf-8") as file:
            return file.read()

    def test_a_dry_run_and_a_check_name_every_step_and_change_nothing(self):
        before = self.files()
        steps = [*QUICK, "swap", "hailo", "prony", "ollama"]
        for words, code in (("--dry-run", 0), ("--check", 1)):
            text = self.setup(words, *steps, code=code)
            for step in steps:
                self.assertIn(f"left    {step}: ", text)
            self.assertEqual(self.files(), before)

    def test_what_is_done_is_not_done_again_and_undone_completely(self):
        before, config = self.files(), self.config()
        self.setup(*QUICK)
        after = self.files()
        self.assertIn("etc/udev/rules.d/60-prony.rules", after)
        self.assertNotIn("doing", self.setup(*QUICK))
        self.assertEqual(self.files(), after)
        self.setup("--check", *QUICK)
        self.setup("--undo")
        self.assertEqual(self.files(), before)
        self.assertEqual(self.config(), config)
        self.assertNotIn("undoing", self.setup("--undo"))

    def test_the_udev_rule_is_what_udev_reads(self):
        self.setup("access")
        with open(os.path.join(self.root, "etc/udev/rules.d/60-prony.rules"), encoding="utf-8") as file:
            text = file.read()
        self.assertIn('KERNEL=="vcio", GROUP="video", MODE="0660"\n', text)
        rule = next(line for line in text.splitlines() if "hwmon" in line)
        command = re.search(r'RUN\+="(/bin/sh -c \'.*\')"$', rule).group(1)  # what udev hands to execve, word by word
        folder = self.path("hwmon0")
        os.makedirs(folder)
        for name, mode in (("power1_input", 0o400), ("name", 0o400)):
            with open(os.path.join(folder, name), "w", encoding="ascii"):
                os.chmod(os.path.join(folder, name), mode)
        words = shlex.split(command.replace("/sys%p", folder))
        subprocess.run(words, check=True, capture_output=True)
        self.assertEqual(os.stat(os.path.join(folder, "power1_input")).st_mode & 0o777, 0o444)
        self.assertEqual(os.stat(os.path.join(folder, "name")).st_mode & 0o777, 0o400)

    def test_generation_3_is_asked_for_in_the_section_of_all_boards_and_once(self):
        self.setup("pcie-gen3")
        text = self.config()
        self.assertTrue(text.startswith(CONFIG))
        self.assertIn("\n[all]\ndtparam=pciex1_gen=3\n", text)
        self.assertIn("there   pcie-gen3", self.setup("pcie-gen3"))
        self.assertEqual(self.config(), text)

    def test_generation_3_that_the_user_asked_for_is_theirs(self):
        for own in ("dtparam=pciex1_gen=3\n", "dtparam=audio=on,pciex1_gen=3\n", "  dtparam=pciex1_gen=3\n"):
            self.put("boot/firmware/config.txt", CONFIG + own)
            self.assertIn("there   pcie-gen3", self.setup("pcie-gen3"))
            self.setup("--undo")
            self.assertEqual(self.config(), CONFIG + own)
        self.put("boot/firmware/config.txt", "dtparam=pciex1_gen=2\n#dtparam=pciex1_gen=3\n")
        self.assertIn("left    pcie-gen3", self.setup("--dry-run", "pcie-gen3"))

    def test_what_was_written_after_it_stays_and_a_file_without_an_end_of_line_is_given_back_so(self):
        self.put("boot/firmware/config.txt", "dtparam=audio=on")
        self.setup("pcie-gen3")
        self.assertIn("dtparam=audio=on\n# prony", self.config())
        self.setup("--undo")
        self.assertEqual(self.config(), "dtparam=audio=on")
        self.setup("pcie-gen3")
        self.put("boot/firmware/config.txt", self.config() + "hdmi_group=1\n")
        self.setup("--undo")
        self.assertEqual(self.config(), "dtparam=audio=on\nhdmi_group=1\n")

    def test_a_board_that_cannot_do_generation_3_is_left_alone(self):
        self.put("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.1\0")
        before = self.files()
        self.assertIn("but: Raspberry Pi 4 Model B Rev 1.1", self.setup("pcie-gen3", code=1))
        self.assertEqual(self.files(), before)

    def test_the_older_place_of_config_txt_is_known(self):
        os.rename(os.path.join(self.root, "boot/firmware/config.txt"), os.path.join(self.root, "boot/config.txt"))
        self.setup("pcie-gen3")
        with open(os.path.join(self.root, "boot/config.txt"), encoding="utf-8") as file:
            self.assertIn("pciex1_gen=3", file.read())

    def test_a_file_that_somebody_else_made_is_left_alone(self):
        self.put("etc/udev/rules.d/60-prony.rules", "mine\n")
        before = self.files()
        self.assertIn("was not made by this script", self.setup("access", code=1))
        self.setup("--undo")
        self.assertEqual(self.files(), before)

    def test_packages_are_not_installed_into_another_system(self):
        before = self.files()
        self.assertIn("not installed into another system", self.setup("hailo", code=1))
        self.assertEqual(self.files(), before)

    def test_a_slip_is_told_and_nothing_happens(self):
        before = self.files()
        for words in (["memory-load"], ["--swap-gib", "0", "swap"], ["--hailo-package", "rm"], ["--hailo-package"], ["--frob"]):
            self.setup(*words, code=2)
        self.assertEqual(self.files(), before)


class Page(BoardSetup):
    script = SetupPi.script

    def commands(self):
        with open(os.path.join(harness.ROOT, "docs/raspberry-pi.md"), encoding="utf-8") as file:
            blocks = re.findall(r"^```\n(.*?)^```", file.read(), re.M | re.S)
        return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]

    def test_every_command_of_the_page_runs_where_nothing_is_changed(self):
        self.put("boot/firmware/config.txt", CONFIG)
        before, seen = self.files(), 0
        for line in self.commands():
            words = shlex.split(line)
            if words[0] == "sudo":
                words = words[1:]
            if words[0] == "tools/setup-pi.sh":
                self.setup("--dry-run", *[word for word in words[1:] if word not in ("--dry-run", "--check", "--undo")])
            elif words[0] == "prony":
                # A command of the page's is as good as any other here.
                words = [word if word != "your_model.py" else self.path("model.py") for word in words]
                done = self.prony(*words[1:], env={"PRONY_SIMULATE": "pi5-hailo"})
                self.assertEqual(done.returncode, 0, line + done.err)
            else:
                self.assertIn(words[0], ("git", "apt"), line)
                continue
            seen += 1
        self.assertGreaterEqual(seen, 6)
        self.assertEqual(self.files(), before)

    def setUp(self):
        super().setUp()
        with open(self.path("model.py"), "w", encoding="ascii") as file:
            file.write("sum(range(2000000))\n")


if __name__ == "__main__":
    harness.main()
