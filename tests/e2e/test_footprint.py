"""Carbon and money, as a user meets them.

Kills: a figure from a factor that nobody gave, a factor lost between the command line and `show`, an old Run that cannot
be told with other factors.
"""

import json

import harness
from harness import Case


class Footprint(Case):
    def test_without_factors_nothing_is_printed(self):
        summary = self.record(["true"], "--simulate", "laptop")
        self.assertNotIn("footprint", summary)
        self.assertNotIn("CO2", self.summary_text)

    def test_the_factors_are_kept_with_the_run_and_show_takes_others(self):
        with open(self.path("config.toml"), "w", encoding="utf-8") as file:
            file.write('pue = "1.5 operator"\n')
        summary = self.record(["sleep", "0.3"], "--simulate", "laptop", "--carbon-g-per-kwh", "380 mean of 2025",
                              "--config", self.path("config.toml"), env={"PRONY_TARIFF": "0.25 EUR contract"})
        told = summary["footprint"]
        kwh = summary["headline"]["gross_j"] / 3.6e6
        self.assertAlmostEqual(told["carbon_g"], kwh * 1.5 * 380, 9)
        self.assertAlmostEqual(told["carbon_high_g"], summary["headline"]["high_j"] / 3.6e6 * 1.5 * 380, 9)
        self.assertAlmostEqual(told["cost"], kwh * 1.5 * 0.25, 9)
        self.assertEqual((told["carbon_source"], told["pue_source"], told["tariff_source"]),
                         ("mean of 2025", "operator", "contract"))
        self.assertIn("380 g/kWh (mean of 2025)", self.summary_text)
        shown = self.prony("show", self.path("x.prony"), "--json", "--carbon-g-per-kwh", "41 hydro")
        other = json.loads(shown.out)["footprint"]
        self.assertAlmostEqual(other["carbon_g"], kwh * 1.5 * 41, 9)
        self.assertEqual(other["carbon_source"], "hydro")

    def test_a_factor_that_makes_no_sense_stops_before_anything_runs(self):
        done = self.prony("run", "--pue", "0.8", "--out", self.path("x.prony"), "--", "touch", self.path("ran"))
        self.assertEqual(done.returncode, 125)
        self.assertIn("1 or more", done.err)
        with self.assertRaises(FileNotFoundError):
            open(self.path("ran"), encoding="utf-8").close()


if __name__ == "__main__":
    harness.main()
