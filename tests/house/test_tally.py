"""How test programs are counted: a failure stays one unless the test passes by itself, and that is told.

Kills: a test that fails twice counted as passed, one that fails beside others hidden, one that was not run taken for one
that passed, many failures taken for chance, a failing subtest counted as several tests.
"""

import contextlib
import io
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools"))
from tally import MOST_UNSTEADY, Tally, alone, run_unittest  # noqa: E402

SUITE = """
import os, sys, unittest
class Suite(unittest.TestCase):
    def test_good(self): pass
    @unittest.skip("no such device")
    def test_skipped(self): pass
{more}
unittest.main(verbosity=2)
"""


class Counting(unittest.TestCase):
    def counted(self, more):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "suite.py")
            with open(path, "w", encoding="utf-8") as file:
                file.write(SUITE.format(more=more.replace("MARK", repr(os.path.join(folder, "mark")))))
            tally = Tally()
            with contextlib.redirect_stdout(io.StringIO()) as told:
                run_unittest(tally, "stage", [path])
                tally.settle()
            return tally, told.getvalue()

    def test_what_fails_twice_has_failed(self):
        tally, _ = self.counted("    def test_bad(self): self.assertEqual(1, 2)\n")
        self.assertEqual((tally.passed, tally.failed, tally.skipped), (1, 1, 1))

    def test_what_passes_by_itself_has_passed_and_its_failure_is_told(self):
        tally, told = self.counted("    def test_once(self):\n        first = not os.path.exists(MARK)\n"
                                   "        open(MARK, 'w').close()\n        self.assertFalse(first, 'the first time')\n")
        self.assertEqual((tally.passed, tally.failed, tally.skipped), (2, 0, 1))
        self.assertIn("the first time", told)
        self.assertTrue(any(remark.startswith("UNSTEADY stage: test_once") for remark in tally.remarks), tally.remarks)

    def test_what_is_skipped_the_second_time_has_not_passed(self):
        tally, _ = self.counted("    def test_once(self):\n        if os.path.exists(MARK): self.skipTest('now it is')\n"
                                "        open(MARK, 'w').close()\n        self.fail('the first time')\n")
        self.assertEqual((tally.passed, tally.failed), (1, 1))

    def test_many_are_no_chance(self):
        more = "".join(f"    def test_{n}(self):\n        with open(MARK + '{n}', 'x'): pass\n        self.fail('once')\n"
                       for n in range(MOST_UNSTEADY + 1))
        tally, _ = self.counted(more)
        self.assertEqual((tally.passed, tally.failed), (1, MOST_UNSTEADY + 1))

    def test_subtests_that_fail_are_one_test(self):
        tally, _ = self.counted("    def test_parts(self):\n        for part in range(3):\n"
                                "            with self.subTest(part=part): self.assertLess(part, 1)\n")
        self.assertEqual((tally.passed, tally.failed), (1, 1))

    def test_a_program_that_dies_is_not_looked_at_twice(self):
        tally, _ = self.counted("    def test_dies(self): os._exit(3)\n")
        self.assertEqual((tally.passed, tally.failed), (0, 1))

    def test_of_a_compiled_suite_only_a_test_that_ran_has_passed(self):
        name = "Suite.Test"
        self.assertEqual(alone("program", name, lambda *_: (0, "[       OK ] Suite.Test (1 ms)"))[0], 0)
        self.assertNotEqual(alone("program", name, lambda *_: (0, "[  PASSED  ] 0 tests."))[0], 0)
        self.assertNotEqual(alone("program", name, lambda *_: (66, "[       OK ] Suite.Test (1 ms)"))[0], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
