"""The stand-in for heflwr: keys, defaults and errors as there; series aligned, power told, bytes counted, energy by stamps.
What is sent to a server is in test_heflwr_remote.py."""

import http.client
import os
import re
import socket
import threading
import time
import urllib.request

from prony.compat.heflwr import _door as door
from prony.compat.heflwr import process_monitor, thread_monitor
from prony.compat.heflwr._series import Curve, add_up
from support import Case, until_memory_is_told

KEYS = ["cpu_usage", "memory_usage", "network_bytes_sent", "network_bytes_recv", "power_vdd_in", "power_vdd_cpu_gpu_cv",
        "power_vdd_soc"]
TOTALS = ["avg_cpu_usage", "avg_memory_usage", "total_network_bytes_sent", "total_network_bytes_recv",
          "total_power_vdd_in", "total_power_vdd_cpu_gpu_cv", "total_power_vdd_soc"]


class Curves(Case):
    def test_a_gauge_read_late_and_unevenly_has_its_integral_and_not_a_sum_over_nominal_intervals(self):
        curve = Curve()
        for stamp in (0.0, 1.0, 1.5, 4.0, 10.0):
            curve.add_gauge(stamp, 3.0 * stamp)  # 3 W a second: 1.5 t²
        self.assertAlmostEqual(curve.increase(0, 10), 150)  # five readings × nominal 1 s would give 49.5
        self.assertAlmostEqual(curve.mean(1.0, 4.0), 7.5)

    def test_a_counter_that_wraps_goes_on_and_one_that_begins_anew_loses_nothing_after(self):
        wrapping, restarted = Curve(), Curve()
        for stamp, value in enumerate((90.0, 99.0, 4.0)):
            wrapping.add_counter(float(stamp), value, 100.0)
            restarted.add_counter(float(stamp), value)
        self.assertAlmostEqual(wrapping.increase(0, 2), 14)
        self.assertAlmostEqual(restarted.increase(0, 2), 13)

    def test_rows_add_up_to_the_whole_wherever_their_edges_lie(self):
        curve = Curve()
        for stamp in range(11):
            curve.add_counter(stamp * 0.7, stamp ** 2 * 1.0)
        edges = [0.0, 0.3, 1.9, 2.0, 6.5, 7.0]
        self.assertAlmostEqual(sum(curve.increase(a, b) for a, b in zip(edges, edges[1:])), 100)

    def test_forgetting_old_readings_changes_no_later_row(self):
        curve, other = Curve(), Curve()
        for stamp in range(20):
            for each in (curve, other):
                each.add_counter(float(stamp), stamp * 2.0)
        curve.forget_before(7.5)
        self.assertLess(len(curve.stamps_s), 20)
        self.assertEqual(curve.increase(7.5, 15.2), other.increase(7.5, 15.2))

    def test_a_model_is_idle_at_rest_and_full_under_load(self):
        curve = Curve()
        for stamp, busy in ((0.0, 0.0), (1.0, 0.0), (2.0, 4.0)):
            curve.add_model(stamp, busy, 2.0, 10.0, 4.0)
        self.assertAlmostEqual(curve.increase(0, 1), 2)
        self.assertAlmostEqual(curve.increase(1, 2), 10)

    def test_where_nothing_was_read_nothing_is_known(self):
        self.assertIsNone(Curve().increase(0, 1))
        curve = Curve()
        curve.add_gauge(0.0, 1.0)
        curve.add_gauge(1.0, None)
        self.assertIsNone(curve.increase(0, 1))
        self.assertIsNone(add_up([]))
        self.assertIsNone(add_up([1.0, None]))


class Monitors(Case):
    def file_monitor(self, module=thread_monitor, interval=0.2, **options):
        options.setdefault("simulate", "jetson-orin")
        return module.FileMonitor(self.path("log.txt"), interval, **options)

    def test_unknown_metrics_and_wrong_types_are_refused_and_calls_add_up(self):
        monitor = self.file_monitor()
        with self.assertRaisesRegex(ValueError, "temperature.*cpu"):
            monitor.set_metrics(temperature=True)
        with self.assertRaisesRegex(TypeError, "cpu"):
            monitor.set_metrics(cpu=1)
        monitor.set_metrics(cpu=False)
        monitor.set_metrics(network=False)
        monitor.start()
        until_memory_is_told(monitor)
        monitor.stop()
        stats = monitor.stats()
        self.assertEqual((stats["cpu_usage"], stats["network_bytes_sent"]), ([], []))
        self.assertTrue(stats["memory_usage"])

    def test_before_the_start_every_key_is_there_and_empty(self):
        for module in (process_monitor, thread_monitor):
            for monitor in (module.FileMonitor(self.path("log.txt")), module.PrometheusMonitor(),
                            module.RemoteMonitor("127.0.0.1:5000")):
                self.assertEqual(monitor.stats(), {key: [] for key in KEYS})
                self.assertEqual(monitor.summary(), {key: 0 for key in TOTALS})
                self.assertEqual(monitor.interval, 5)
        self.assertEqual(module.PrometheusMonitor().port, 8003)
        self.assertRegex(module.RemoteMonitor("127.0.0.1:5000").identifier, r"^remote-monitor-[0-9a-f]{32}$")

    def test_power_is_told_series_are_of_one_length_and_energy_is_by_stamps_in_both_modes(self):
        for module in (thread_monitor, process_monitor):
            with self.subTest(module.__name__):
                run = self.path(f"{module.__name__}.prony")
                monitor = self.file_monitor(module, run=run)
                monitor.set_metrics(power=True, network=False)
                monitor.start()
                monitor.start()
                time.sleep(1.7)
                monitor.stop()
                self.assertIsNone(monitor.error)
                stats, summary = monitor.stats(), monitor.summary()
                self.assertGreaterEqual(len(stats["power_vdd_in"]), 5)
                self.assertEqual({len(stats[key]) for key in KEYS if "network" not in key}, {len(monitor.times())})
                for row in zip(*(stats[key] for key in KEYS[4:])):
                    self.assertGreater(row[0], row[1] + row[2] - 200)  # mW: the whole and its rails, steps of 40
                import prony
                with prony.open_run(run) as recorded:
                    truth = recorded.summary().headline
                self.assertLess(abs(summary["total_power_vdd_in"] / 1e3 / truth.value_j - 1), 0.05)
                whole_s = sum(t["end_s"] - t["begin_s"] for t in monitor.times())
                self.assertAlmostEqual(summary["total_power_vdd_in"], sum(
                    p * (t["end_s"] - t["begin_s"]) for p, t in zip(stats["power_vdd_in"], monitor.times())))
                self.assertGreater(whole_s, 1.5)
                ends = [t["end_s"] for t in monitor.times()]
                self.assertEqual([t["begin_s"] for t in monitor.times()][1:], ends[:-1])  # no gap between rows

    def test_a_rail_that_this_machine_lacks_is_none_and_a_modelled_power_warns(self):
        monitor = self.file_monitor(simulate="laptop")
        monitor.set_metrics(power=True)
        monitor.start()
        time.sleep(0.5)
        monitor.stop()
        self.assertIsNone(monitor.summary()["total_power_vdd_soc"])
        self.assertGreater(monitor.summary()["total_power_vdd_in"], 0)
        self.assertEqual(set(monitor.stats()["power_vdd_soc"]), {None})
        modelled = self.file_monitor(simulate="vm")
        modelled.set_metrics(power=True)
        with self.assertWarnsRegex(UserWarning, "modelled"):
            modelled.start()
        modelled.stop()

    def test_cpu_use_is_this_programs_and_a_busy_second_is_about_one_core(self):
        monitor = self.file_monitor(simulate=None)
        monitor.start()
        before = time.process_time()
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            sum(range(1000))
        used = time.process_time() - before
        until_memory_is_told(monitor)
        monitor.stop()
        told = sum(share / 100 * (t["end_s"] - t["begin_s"])
                   for share, t in zip(monitor.stats()["cpu_usage"], monitor.times()) if share is not None)
        self.assertGreater(told, 0.5 * used)  # the meter's own threads are in it: it may be more
        self.assertTrue(all(0 < value < 100 for value in monitor.stats()["memory_usage"] if value is not None))
        self.assertTrue(any(monitor.stats()["memory_usage"]))

    def test_bytes_are_those_of_the_hosts_interfaces(self):
        monitor = self.file_monitor(simulate=None)
        monitor.start()
        time.sleep(1.3)
        monitor.stop()
        stats = monitor.stats()
        if all(value is None for value in stats["network_bytes_sent"]):
            self.skipTest("this machine shows no network interface that counts")
        self.assertEqual(monitor.summary()["total_network_bytes_recv"],
                         sum(value for value in stats["network_bytes_recv"] if value is not None))

    def test_the_log_is_in_the_old_dialect_and_a_torn_line_stays_alone(self):
        with open(self.path("log.txt"), "w", encoding="utf-8") as file:
            file.write("CPU Usage: 0.9%, Mem")
        monitor = self.file_monitor()
        monitor.set_metrics(power=True)
        for _ in range(2):
            monitor.start()
            until_memory_is_told(monitor)
            monitor.stop()
        with open(self.path("log.txt"), encoding="utf-8") as file:
            lines = file.read().splitlines()
        self.assertEqual(lines[0], "CPU Usage: 0.9%, Mem")
        heads = [n for n, line in enumerate(lines) if re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", line)]
        self.assertEqual((len(heads), heads[0]), (2, 1))
        rows = [line for n, line in enumerate(lines) if n not in (0, *heads)]
        self.assertEqual(len(rows), len(monitor.stats()["memory_usage"]))
        for row in rows:
            self.assertRegex(row, r"^(CPU Usage: [\d.]+%, )?(Memory Usage: [\d.]+%, )?(Bytes Sent: \d+, Bytes Recv: \d+, )?"
                                  r"VDD In: \d+, VDD Cpu_Gpu_Cv: \d+, VDD Soc: \d+, $")

    def test_the_example_of_its_documentation_runs_with_one_import_line_changed(self):
        text = self.python("""
import time

from prony.compat.heflwr.process_monitor import FileMonitor

def main(second: int = 2):
    time.sleep(second)

if __name__ == '__main__':
    monitor = FileMonitor(file="./monitor.log", interval=0.3)
    monitor.start()
    main()
    monitor.stop()

    print(monitor.summary())
""")
        summary = eval(text.strip().splitlines()[-1], {})  # what it printed: a dict of numbers
        self.assertEqual(list(summary), TOTALS)
        self.assertGreater(summary["avg_cpu_usage"], 0)
        self.assertTrue(summary["avg_memory_usage"] is None or 0 < summary["avg_memory_usage"] < 100, summary)
        with open(self.path("monitor.log"), encoding="utf-8") as file:
            text = file.read()
        self.assertRegex(text, r"^\d{4}-[\d: -]+\nCPU Usage: [\d.]+%, ")
        self.assertEqual(sorted(os.listdir(self.folder)), ["monitor.log", "program.py"])

    def test_prometheus_shows_the_gauges_restarts_on_its_port_and_counters_go_on(self):
        monitor = thread_monitor.PrometheusMonitor(0, 0.2, address="127.0.0.1", simulate="jetson-orin")
        beside = thread_monitor.PrometheusMonitor(0, 0.2, address="127.0.0.1", simulate="jetson-orin")
        monitor.set_metrics(power=True)
        beside.start()
        totals = []
        for _ in range(3):
            monitor.start()
            deadline, text = time.monotonic() + 60, ""
            while not ("\nvdd_in " in text and "\nmemory_usage " in text) and time.monotonic() < deadline:
                time.sleep(0.1)
                with urllib.request.urlopen(f"http://127.0.0.1:{monitor.port}/metrics", timeout=10) as answer:
                    text = answer.read().decode()
            for name in ("cpu_usage", "memory_usage", "vdd_in", "vdd_cpu_gpu_cv", "vdd_soc"):
                self.assertRegex(text, rf"(?m)^# TYPE {name} gauge\n{name} [\d.e-]+$")
            totals.append(float(re.search(r"(?m)^prony_vdd_in_joules_total (\S+)$", text).group(1)))
            monitor.stop()
            with self.assertRaises(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{monitor.port}/metrics", timeout=5)
        self.assertEqual(totals, sorted(totals))
        self.assertGreater(totals[-1], totals[0])
        beside.stop()

    def test_nobody_else_is_listened_to_unless_it_is_asked_for(self):
        for options, expected in (({}, "127.0.0.1"), ({"address": ""}, "0.0.0.0")):
            monitor = thread_monitor.PrometheusMonitor(0, 1, simulate="laptop", **options)
            monitor.start()
            self.addCleanup(monitor.stop)
            self.assertEqual(monitor._server.server_address[0], expected)
            monitor.stop()

    def shown(self, **options):
        monitor = thread_monitor.PrometheusMonitor(0, 1, simulate="laptop", **options)
        monitor.start()
        self.addCleanup(monitor.stop)
        return monitor

    def asked(self, monitor, headers):
        line = http.client.HTTPConnection("127.0.0.1", monitor.port, timeout=20)
        try:
            line.request("GET", "/metrics", headers=headers)
            return line.getresponse().status
        finally:
            line.close()

    def test_a_page_in_a_browser_cannot_read_along_by_a_name_of_its_own(self):
        monitor = self.shown()
        for headers, code in (({}, 200), ({"Host": "localhost:8003"}, 200), ({"Host": "[::1]:8003"}, 200), ({"Host": "evil.org"}, 421),
                              ({"Host": "127.evil.org"}, 421), ({"Host": "a@localhost"}, 421), ({"Origin": "https://evil.org"}, 421),
                              ({"Origin": "null"}, 421), ({"Host": "localhost:1", "Origin": "http://localhost:1"}, 200)):
            self.assertEqual(self.asked(monitor, headers), code, headers)
        everybody = self.shown(address="")
        self.assertEqual(self.asked(everybody, {"Host": "box.lan"}), 200)
        self.assertEqual(self.asked(everybody, {"Host": "box.lan", "Origin": "https://evil.org"}), 421)

    def test_connections_that_never_end_are_bounded_in_number_and_in_time(self):
        length, door._LENGTH_S = door._LENGTH_S, 1.0
        self.addCleanup(setattr, door, "_LENGTH_S", length)
        monitor = self.shown()
        slow = [socket.create_connection(("127.0.0.1", monitor.port), timeout=20) for _ in range(door._CONNECTIONS + 20)]
        self.addCleanup(lambda: [line.close() for line in slow])
        before = threading.active_count()
        self.assertLess(before, 3 * door._CONNECTIONS)  # a thread and a timer each, not one for all that there are
        for line in slow:  # each is cut, though it goes on sending
            try:
                while True:
                    line.send(b"x")
                    time.sleep(0.01)
            except OSError:
                pass
        self.assertEqual(self.asked(monitor, {}), 200)

    def test_memory_is_told_from_the_first_row_on(self):
        for module in (thread_monitor, process_monitor):
            monitor = module.FileMonitor(self.path(module.__name__), 0.1, simulate="laptop")
            monitor.start()
            time.sleep(0.5)
            monitor.stop()
            self.assertNotIn(None, monitor.stats()["memory_usage"])
            self.assertTrue(monitor.stats()["memory_usage"])

    def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_running(self):
        first = thread_monitor.PrometheusMonitor(0, 1, address="127.0.0.1", simulate="laptop")
        first.start()
        self.addCleanup(first.stop)
        second = thread_monitor.PrometheusMonitor(first.port, 1, address="127.0.0.1", simulate="laptop")
        with self.assertRaises(OSError):
            second.start()
        second.stop()
        self.assertEqual(second.stats()["cpu_usage"], [])
