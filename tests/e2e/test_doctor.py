"""`prony doctor`: one screen, exit 0 or 1 by what it says, 125 for what it cannot do at all."""

import json
import os
import subprocess

import harness
from harness import Case, needs_root, program


class Doctor(Case):
    def test_the_exit_code_is_what_the_findings_say(self):
        done = self.prony("doctor", "--json")
        told = json.loads(done.out)
        bad = [f for f in told["findings"] if f["verdict"] in ("poor", "missing")]
        self.assertEqual(done.returncode, 1 if bad else 0)
        self.assertEqual(told["exit_code"], done.returncode)
        self.assertEqual(told["schema"], 1)

    def test_the_screen_fits_and_begins_with_the_answer(self):
        done = self.prony("doctor")
        self.assertIn(done.returncode, (0, 1), done.err)
        lines = done.out.splitlines()
        self.assertLessEqual(len(lines), 40)
        self.assertTrue(lines[1].startswith(" joules are ") or lines[1].startswith(" no joules"), lines[1])
        self.assertLessEqual(max(len(line) for line in lines), 100)

    def test_another_tree_is_examined_in_its_place(self):
        machine = os.path.join(harness.ROOT, "tests/machines/intel-2-sockets")
        told = json.loads(self.prony("doctor", "--json", "--sysfs", machine + "/sys", "--procfs", machine + "/proc").out)
        origins = {e["domain"]: e["origin"] for e in told["energy"]}
        # Counters of a tree that stands still do not count: the modelled channel stands in, and that is said.
        self.assertEqual(origins, {**{d: "measured" for d in origins if d != "cpu"}, "cpu": "modelled"})
        self.assertIn("package-1", origins)
        energy = [f for f in told["findings"] if f["check"] == "energy"]
        self.assertEqual([f["verdict"] for f in energy], ["poor"])
        self.assertIn("do not count", energy[0]["text"])

    def test_what_it_cannot_do_is_125_and_says_what_was_meant(self):
        done = self.prony("doctor", "--jsn")
        self.assertEqual(done.returncode, 125)
        self.assertIn("--json", done.err)
        done = self.prony("doctor", "--sysfs", self.path("not-there"))
        self.assertEqual(done.returncode, 125)
        self.assertIn("is not a directory", done.err)
        with open("/dev/full", "w", encoding="utf-8") as full:
            code = subprocess.run([program("prony"), "doctor"], stdout=full, stderr=subprocess.DEVNULL, check=False,
                                  cwd=self.folder, env=self.environment()).returncode
        self.assertEqual(code, 125)

    def test_it_leaves_nothing_behind(self):
        self.prony("doctor")
        self.assertEqual(os.listdir(self.folder), [])

    @needs_root
    def test_a_place_that_cannot_hold_a_run_is_told(self):
        with harness.Tmpfs(self.path("small"), "size=1m") as place:
            place.remount_read_only()
            done = subprocess.run([program("prony"), "doctor", "--json"], capture_output=True, check=False,
                                  cwd=place.path, env=self.environment())
            finding = next(f for f in json.loads(done.stdout)["findings"] if f["check"] == "place for Runs")
            self.assertEqual(finding["verdict"], "missing")
            self.assertIn("Read-only", finding["text"])


if __name__ == "__main__":
    harness.main()
