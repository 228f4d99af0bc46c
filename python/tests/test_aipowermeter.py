"""The stand-in for AIPowerMeter: its documented example, its files and fields, and what it gets otherwise than there."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from unittest import mock

import prony
from prony.compat.aipowermeter import _records, experiment, parsers
from prony.compat.aipowermeter.parsers import windows
from support import Case


def burn(seconds=0.6):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


class Folder(Case):
    def parser(self, **options):
        return parsers.JsonParser(self.path("output"), **options)

    def recorded(self, simulate="laptop", period=0.25, seconds=0.6, **options):
        _, queue = experiment.Experiment(self.parser(), simulate=simulate, **options).measure_yourself(period=period)
        burn(seconds)
        queue.put(experiment.STOP_MESSAGE)
        return experiment.ExpResults(self.parser())

    def written(self, *documents):
        """A folder as AIPowerMeter writes it."""
        os.makedirs(self.path("output"))
        with open(self.path("output/power_metrics.json"), "w", encoding="utf-8") as file:
            file.write("\n".join(d if isinstance(d, str) else json.dumps(d) for d in documents) + "\n")
        return experiment.ExpResults(self.parser())

    def theirs(self, second, **cpu):
        return {"date": f"2021-12-08 13:55:{second:09.6f}", "metrics": {"cpu": cpu}}


class Recording(Folder):
    def test_the_example_of_its_documentation_runs_with_one_import_line_changed(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = self.python("""
from prony.compat.aipowermeter import experiment, parsers

driver = parsers.JsonParser("output_folder")
exp = experiment.Experiment(driver)

p, q = exp.measure_yourself(period=2) # measure every 2 seconds
sum(n * n for n in range(1_000_000))
q.put(experiment.STOP_MESSAGE)

driver = parsers.JsonParser("output_folder", meta_data="small description of your experiment, providing a dictionnary is also possible")
exp_result = experiment.ExpResults(driver)
exp_result.print()
""")
        self.assertIn("EXPERIMENT SUMMARY", text)
        self.assertRegex(text, r"(?m)^share of busy CPU time: [\d.]+ %$")
        with open(self.path("output_folder/metadata.json"), encoding="utf-8") as file:
            self.assertIn("small description", json.load(file)["description"])

    def test_windows_leave_nothing_out_and_their_joules_are_those_of_the_run(self):
        results = self.recorded()
        segment, = self.parser().segments()
        self.assertGreaterEqual(len(segment), 3)
        for one, following in zip(segment, segment[1:]):
            self.assertEqual(one["end_ns"], following["begin_ns"])
        charged = results.charged()
        for name in ("intel_power", "psys_power", "total_cpu_power"):
            self.assertLess(abs(results.total_(name) / charged[name]["total_j"] - 1), 0.02, name)
        own = results.get_summary()["cpu"]
        self.assertLess(abs(own["rel_intel_power"] / charged["intel_power"]["charged_j"] - 1), 0.2)
        self.assertTrue(0 < own["relative_cpu_use"] <= 1)
        self.assertEqual(results.total_power_draw(), results.total_("psys_power"))  # which holds the package

    def test_what_a_machine_does_not_have_is_left_out_and_never_minus_one(self):
        results = self.recorded("epyc-2s")
        self.assertNotIn("psys_power", results.list_metrics())
        self.assertNotIn("total_psys_power", results.get_summary()["cpu"])
        self.assertIsNone(results.total_("psys_power"))
        self.assertNotIn("gpu", results.get_summary())
        self.assertEqual(results.total_power_draw(), results.total_("intel_power"))

    def test_every_gpu_is_told_by_itself_and_in_a_sum(self):
        results = self.recorded("h100x8")
        power = results.average_("per_gpu_nvidia_power")
        self.assertEqual(sorted(power), [str(n) for n in range(8)])
        self.assertAlmostEqual(sum(power.values()), results.average_("nvidia_power"), delta=1e-6 * sum(power.values()))
        gpu = results.get_summary()["gpu"]
        self.assertTrue(0 <= gpu["nvidia_use_rate"] <= 100)
        self.assertGreater(gpu["nvidia_power"], 0)

    def test_where_no_sensor_measures_there_is_a_warning_and_no_power(self):
        with self.assertWarnsRegex(UserWarning, "no sensor measures"):
            results = self.recorded("vm")
        self.assertEqual([name for name in results.list_metrics() if name.endswith("_power")], [])
        self.assertIsNone(results.total_power_draw())
        self.assertTrue(results.get_summary()["cpu"]["absolute_cpu_time_per_pid"])

    def test_an_earlier_recording_is_kept_and_with_cont_it_goes_on_as_a_segment(self):
        self.recorded(seconds=0.3)
        first = self.parser().segments()
        self.recorded(seconds=0.3)
        self.assertIn("power_metrics.json.1", os.listdir(self.path("output")))
        self.recorded(seconds=0.3, cont=True)
        self.assertEqual(len(self.parser().segments()), 2)
        with open(self.path("output/power_metrics.json.1"), encoding="utf-8") as file:
            self.assertEqual(json.loads(file.readline()), first[0][0])
        with self.assertRaisesRegex(TypeError, "False"):
            experiment.Experiment(self.parser(), cont="False")

    def test_another_process_is_measured_and_strangers_in_one_list_are_refused(self):
        child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        _, queue = experiment.Experiment(self.parser(), simulate="laptop").measure_from_pid_list([child.pid], period=0.3)
        time.sleep(0.7)
        queue.put(experiment.STOP_MESSAGE)
        used = experiment.ExpResults(self.parser()).get_summary()["cpu"]["absolute_cpu_time_per_pid"]
        self.assertEqual(list(used), [str(child.pid)])
        self.assertGreater(used[str(child.pid)], 0.05)
        with self.assertRaisesRegex(ValueError, "one tree"):
            experiment.Experiment(self.parser()).measure_from_pid_list([child.pid, os.getpid()])

    def killed(self):
        """A program that records into the folder and dies of it; when this returns, its recorder has ended by itself."""
        program = self.path("killed.py")
        with open(program, "w", encoding="utf-8") as file:
            file.write("import os, signal, time\nfrom prony.compat.aipowermeter import experiment, parsers\n"
                       f"driver = parsers.JsonParser({self.path('output')!r}, cont=True)\n"
                       "experiment.Experiment(driver, simulate='laptop').measure_yourself(period=0.5)\n"
                       "time.sleep(2.5)\nos.kill(os.getpid(), signal.SIGKILL)\n")
        home = os.path.dirname(os.path.dirname(os.path.abspath(prony.__file__)))
        done = subprocess.run([sys.executable, program], env={**os.environ, "PYTHONPATH": home}, check=False)
        self.assertEqual(done.returncode, -signal.SIGKILL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                with prony.open_run(parsers.runs_in(self.path("output"))[-1]) as run:
                    if run.state != "recording":
                        return
            except prony.PronyError:
                pass
            time.sleep(0.2)

    def test_a_program_that_was_killed_has_its_results(self):
        self.killed()
        results = experiment.ExpResults(self.parser())
        self.assertGreater(results.total_("intel_power"), 0)
        self.assertGreater(results.get_exp_duration(), 1)

    def test_what_was_set_aside_is_in_no_joules_and_kept_whole(self):
        first = self.recorded(seconds=0.9).charged()
        second = self.recorded(seconds=0.4)
        whole, charged = second.total_("intel_power"), second.charged()["intel_power"]
        self.assertLess(abs(whole / charged["total_j"] - 1), 0.05, (whole, charged, first))
        self.assertEqual(sorted(n for n in os.listdir(self.path("output")) if n.startswith(("recording", "power"))),
                         ["power_metrics.json", "power_metrics.json.1", "recording-1.prony", "recording-1.prony.1"])
        with prony.open_run(self.path("output/recording-1.prony.1")) as run:
            self.assertEqual(_records.charges(run), first)

    def test_a_killed_recording_is_set_aside_too(self):
        self.killed()
        with prony.open_run(self.path("output/recording-1.prony")) as run:
            lost = _records.charges(run)["intel_power"]["total_j"]
        results = self.recorded(seconds=0.4)
        whole, charged = results.total_("intel_power"), results.charged()["intel_power"]["total_j"]
        self.assertLess(abs(whole / charged - 1), 0.05, (whole, charged, lost))
        self.assertIn("recording-1.prony.1", os.listdir(self.path("output")))

    def test_with_cont_a_killed_recording_is_a_segment_among_the_others(self):
        self.recorded(seconds=0.4)
        self.killed()
        results = self.recorded(seconds=0.4, cont=True)
        segments = self.parser().segments()
        self.assertEqual([{record["run"] for record in segment} for segment in segments],
                         [{f"recording-{number}.prony"} for number in (1, 2, 3)])
        whole, charged = results.total_("intel_power"), results.charged()["intel_power"]["total_j"]
        self.assertLess(abs(whole / charged - 1), 0.05, (whole, charged))

    def test_a_run_that_somebody_still_writes_is_not_set_aside(self):
        _, first = experiment.Experiment(self.parser(), simulate="laptop").measure_yourself(period=0.25)
        with mock.patch.object(parsers, "PATIENCE_S", 0.2), self.assertRaisesRegex(RuntimeError, "recording-1.prony"):
            experiment.Experiment(self.parser(), simulate="laptop").measure_yourself(period=0.25)
        burn(0.3)
        first.put(experiment.STOP_MESSAGE)
        self.assertGreater(experiment.ExpResults(self.parser()).total_("intel_power"), 0)


class Reading(Folder):
    def test_the_first_window_counts_and_minus_one_watt_is_no_power(self):
        results = self.written(*(self.theirs(second, intel_power=50.0, psys_power=-1.0) for second in (2, 4, 6)))
        self.assertAlmostEqual(results.total_("intel_power"), 300)  # trapezoids between stamps give 200
        self.assertIsNone(results.total_("psys_power"))
        self.assertAlmostEqual(results.average_("intel_power"), 50)
        self.assertAlmostEqual(results.get_exp_duration(), 6)

    def test_a_record_alone_has_a_mean_power_and_no_joules_since_nobody_knows_its_length(self):
        results = self.written(self.theirs(2, intel_power=50.0))
        self.assertIsNone(results.total_("intel_power"))
        self.assertEqual([p["value"] for p in results.get_curve("intel_power")], [50.0])

    def test_pauses_between_segments_are_in_no_total_and_windows_of_time_are_cut(self):
        results = self.written(self.theirs(2, intel_power=10.0), self.theirs(4, intel_power=10.0), "END OF RECORDING SEGMENT",
                               self.theirs(40, intel_power=20.0), self.theirs(41, intel_power=20.0), '{"date": "2021-12-')
        self.assertAlmostEqual(results.total_("intel_power"), 40 + 40)
        first = results.get_curve("intel_power")[0]["date"]
        self.assertAlmostEqual(results.total_("intel_power", first - 0.5, first + 1.0), 15)
        self.assertEqual(results.max_("intel_power"), 20.0)

    def test_values_per_process_and_lists_are_added_up(self):
        results = self.written(*(self.theirs(s, per_process_cpu_uses={"1": 0.25, "2": 0.5}, uncore_power=[0.5, 0.25])
                                 for s in (1, 2)))
        self.assertEqual((results.average_("per_process_cpu_uses"), results.average_("uncore_power")), (0.75, 0.75))

    def test_uneven_windows_are_as_long_as_they_are(self):
        self.assertEqual([round(b - a, 6) for a, b in windows([self.theirs(s) for s in (1, 3, 4, 5, 9)])], [2, 2, 1, 1, 4])

    def test_the_wattmeters_file_is_read_without_its_log_and_its_torn_end(self):
        os.makedirs(self.path("output"))
        with open(self.path("output/omegawatt.csv"), "w", encoding="utf-8") as file:
            file.write("opening /dev/ttyUSB0\n#timestamp,#frame_is_ok,#U1,#activepow1\n1671527189.25,true,232.3,20.9\n"
                       "1671527189.26,false,0.0,9999.0\n1671527189.27,true,232.4,21.1\n1671527189.28,true,23")
        series = self.parser().load_wattmeter_metrics()["#activepow1"]
        self.assertEqual(series["values"], [20.9, 21.1])
        self.assertEqual(series["dates"][0].timestamp(), 1671527189.25)

    def test_results_of_the_experiment_are_lines_or_a_document(self):
        parser = self.parser(meta_data={"net": "small"})
        parser.save_exp_metrics({"accuracy": 0.5})
        parser.save_exp_metrics({"accuracy": 0.75})
        results = experiment.ExpResults(parser)
        self.assertEqual([p["value"] for p in results.get_curve("accuracy")], [0.5, 0.75])
        with open(parser.exp_metric_filename, "w", encoding="utf-8") as file:
            json.dump([{"end_training_epoch": "2021-12-08 13:55:49", "loss": 2.5}], file)
        self.assertEqual(parser.load_exp_metrics()["loss"]["values"], [2.5])

    def test_an_empty_folder_is_an_error_in_words(self):
        with self.assertRaisesRegex(ValueError, "no recordings"):
            experiment.ExpResults(self.parser())
