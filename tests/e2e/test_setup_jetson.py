"""tools/setup-jetson.sh on a constructed root: what it says, that nothing is done twice, and that --undo leaves what was there.

Kills: a dry run that writes, a step done again, a file of somebody else overwritten or taken away, an archive that leads out.
"""

import os
import re
import shlex
import shutil

import harness
from board_setup import FSTAB, BoardSetup

QUICK = ["perf", "memory-load", "max-power"]


class SetupJetson(BoardSetup):
    script = os.path.join(harness.ROOT, "tools/setup-jetson.sh")

    def test_a_dry_run_and_a_check_name_every_step_and_change_nothing(self):
        before = self.files()
        for words, code in (("--dry-run", 0), ("--check", 1)):
            text = self.setup(words, *QUICK, "swap", "prony", "ollama", code=code)
            for step in [*QUICK, "swap", "prony", "ollama"]:
                self.assertIn(f"left    {step}: ", text)
            self.assertEqual(self.files(), before)

    def test_what_is_done_is_not_done_again_and_undone_completely(self):
        before = self.files()
        self.setup(*QUICK)
        after = self.files()
        self.assertIn("etc/sysctl.d/60-prony.conf", after)
        self.assertEqual(after["etc/systemd/system/multi-user.target.wants/prony-max-power.service"],
                         "link ../prony-max-power.service")
        self.assertNotIn("doing", self.setup(*QUICK))
        self.assertEqual(self.files(), after)
        self.setup("--check", *QUICK)
        self.setup("--undo")
        self.assertEqual(self.files(), before)
        self.assertNotIn("undoing", self.setup("--undo"))

    def test_a_file_that_somebody_else_made_is_left_alone(self):
        self.put("etc/sysctl.d/60-prony.conf", "kernel.perf_event_paranoid = 3\n")
        before = self.files()
        self.assertIn("was not made by this script", self.setup("perf", code=1))
        self.setup("--undo")
        self.assertEqual(self.files(), before)

    def test_an_archive_is_unpacked_and_taken_back_and_one_that_leads_out_is_refused(self):
        before = self.files()
        for bad in ("../../etc/passwd", "/etc/passwd", "bin/../../x"):
            self.assertIn("lead out", self.setup("--archive", self.archive([bad]), "prony", code=1))
            self.assertEqual(self.files(), before)
        self.setup("--archive", self.archive(["bin/prony", "share/doc/prony/x"]), "prony")
        self.assertIn("usr/local/bin/prony", self.files())
        self.assertIn("there   prony", self.setup("--archive", self.path("prony.tar.gz"), "prony"))
        self.setup("--undo")
        self.assertEqual(self.files(), before)
        self.put("usr/local/bin/prony-live", "mine")
        self.assertIn("is there already", self.setup("--archive", self.archive(["bin/prony-live"]), "prony", code=1))

    def test_swap_is_a_file_and_one_line_of_fstab(self):
        if shutil.disk_usage(self.folder).free < 3 << 30:
            self.skipTest("less than 3 GiB are free for a swap file of 1 GiB")
        before = self.files()
        self.setup("--swap-gib", "1", "swap")
        path = os.path.join(self.root, "var/prony.swap")
        self.assertEqual(os.path.getsize(path), 1 << 30)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        with open(os.path.join(self.root, "etc/fstab"), encoding="utf-8") as file:
            self.assertEqual(file.read(), FSTAB + "/var/prony.swap none swap sw 0 0 # prony\n")
        self.setup("--undo")
        self.assertEqual(self.files(), before)

    def test_a_slip_is_told_and_nothing_happens(self):
        before = self.files()
        for words in (["frobnicate"], ["--swap-gib", "-1", "swap"], ["--swap-gib", "0", "swap"], ["--swap-gib"]):
            self.setup(*words, code=2)
        self.assertEqual(self.files(), before)

    def test_every_command_of_the_page_runs_where_nothing_is_changed(self):
        with open(os.path.join(harness.ROOT, "docs/jetson.md"), encoding="utf-8") as file:
            page = file.read()
        with open(self.path("model.py"), "w", encoding="ascii") as file:
            file.write("sum(range(2000000))\n")
        blocks = [line.split("  #")[0].strip() for block in re.findall(r"```\n(.*?)```", page, re.S) for line in block.splitlines()]
        inline = [text for text in re.findall(r"`(prony [^`]+)`", page) if " " in text.removeprefix("prony ") or text == "prony doctor"]
        before, seen = self.files(), 0
        for line in [*blocks, *inline]:
            words = shlex.split(line.removeprefix("sudo "))
            if words[0] == "tools/setup-jetson.sh":
                self.setup("--dry-run", *[word for word in words[1:] if word != "--dry-run"])
            elif words[0] == "prony":
                words = [word if word != "your_model.py" else self.path("model.py") for word in words]
                env = {} if "--simulate" in words or words[1] == "doctor" else {"PRONY_SIMULATE": "jetson-orin"}
                done = self.prony(*words[1:], env=env)
                self.assertIn(done.returncode, (0, 1) if words[1] == "doctor" else (0,), line + done.err)  # 1: it found something
            else:
                self.assertIn(words[0], ("git", "make", "scp"), line)  # what `make archive` makes: test_archive.py
                continue
            seen += 1
        self.assertGreaterEqual(seen, 7)
        self.assertEqual(self.files(), before)


if __name__ == "__main__":
    harness.main()
