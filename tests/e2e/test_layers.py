"""`prony layers import` and `prony layers map`: recordings of other tools, in files as they are and in files that are not."""

import csv
import json
import os
import sqlite3
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402

DATA = os.path.abspath(os.path.join(harness.ROOT, "../shared/data/edgeprofiler"))
ENGINE = {"Layers": [
    {"Name": "conv", "LayerType": "CaskConvolution", "ParameterType": "Convolution", "Kernel": [3, 3], "Stride": [1, 1], "PrePadding": [1, 1],
     "PostPadding": [1, 1], "Dilation": [1, 1], "Groups": 1,
     "Inputs": [{"Name": "i", "Dimensions": [1, 3, 8, 8], "Format/Datatype": "Row major linear FP16 format"}],
     "Outputs": [{"Name": "o", "Dimensions": [1, 4, 8, 8], "Format/Datatype": "Row major linear FP16 format"}]},
    {"Name": "copy", "LayerType": "Reformat", "ParameterType": "Reformat", "Inputs": [], "Outputs": []}]}


class Layers(harness.Case):
    def raw(self):
        """A folder of raw data of a network "net": 12 inferences of two layers, a reading in the first of each."""
        folder = self.path("raw")
        os.makedirs(os.path.join(folder, "net", "trt_profiling"))
        self.write("raw/idling_power.json", json.dumps({"timestamp": "x", "avg_idle_power": 5e6}))
        self.write("raw/net/trt_profiling/trt_engine_info.json", json.dumps(ENGINE))
        stamp = "20241121-00:00:{:02d}.{:06d}".format
        self.write("raw/net/trt_profiling/trt_layer_latency.json", json.dumps({
            "conv": [[400.0, stamp(i, 500000)] for i in range(12)], "copy": [[100.0, stamp(i, 600000)] for i in range(12)]}))
        self.write("raw/net/net_power_log.log", "".join(f"{stamp(i, 300000)},5000.0,{1100.0 + 100 * (i % 2)}\n" for i in range(12)) +
                   f"{stamp(30, 0)},5000.0,1000.0\n")
        return folder

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def test_edgeprofilers_rule_writes_its_files_with_its_columns(self):
        done = self.prony("layers", "map", "--legacy", self.raw(), "-o", self.path("out"), "--training", self.path("train"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("these watts are no layer's", done.stdout.decode().replace("\n        ", ""))
        with open(self.path("out/net/power_runtime_mapping_layerwise.csv"), encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), 24)
        self.assertEqual(rows[0], {"cycle": "1", "layer_name": "conv", "layer_type": "CaskConvolution",
                                   "layer_power_including_idle_power_micro_watt": "5500000.0",
                                   "layer_power_excluding_idle_power_micro_watt": "500000.0", "layer_run_time": "400.0"})
        self.assertEqual(rows[1]["layer_power_including_idle_power_micro_watt"], "")
        for name in ("net_average_power_stats.csv", "net_average_run_time_stats.csv", "trt_engine_info.json"):
            self.assertTrue(os.path.exists(self.path("out/net", name)), name)
        with open(self.path("train/net/convolutional.csv"), encoding="utf-8") as file:
            row = next(csv.DictReader(file))
        self.assertEqual((row["kernel_0"], row["padding_0"], row["power"], row["runtime"]), ("3", "2", "750000.0", "400.0"))
        read = self.prony("layers", "import", self.path("out"), self.path("train"), "--json", "-")
        self.assertEqual(read.returncode, 0, read.stderr)
        self.assertEqual(json.loads(read.stdout)["layers"][0]["told_w"], 0.75)

    def test_raw_data_that_are_written_again_hold_the_power_log_and_what_is_left_out_is_named(self):
        other = self.write("table.csv", "layer_name,time_ms\nconv,1\n")
        rails = self.write("rails.log", "RAM 2448/7772MB VDD_IN 6000mW/5000mW\n")
        done = self.prony("layers", "import", self.raw(), other, rails, "--to-raw", self.path("again"), "--name", "net")
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in ("idling_power.json", "net/net_power_log.log", "net/trt_profiling/trt_engine_info.json", "net/trt_profiling/trt_layer_latency.json"):
            with open(self.path("raw", name), "rb") as theirs, open(self.path("again", name), "rb") as mine:
                self.assertEqual(*((json.load(mine), json.load(theirs)) if name.endswith("json") else (mine.read(), theirs.read())), name)
        said = done.stderr.decode()
        self.assertIn("4 files written", said)
        self.assertIn("not written: " + other, said)
        self.assertIn("not written: " + rails, said)
        mapped = [self.prony("layers", "map", "--legacy", self.path(folder)) for folder in ("raw", "again")]
        self.assertEqual(mapped[1].returncode, 0, mapped[1].stderr)
        self.assertEqual(mapped[0].stdout, mapped[1].stdout)
        itself = self.prony("layers", "import", self.path("raw"), "--to-raw", self.path("raw"), "--name", "net")
        self.assertEqual(itself.returncode, 0, itself.stderr)
        self.assertEqual(os.path.getsize(self.path("raw/net/net_power_log.log")), os.path.getsize(self.path("again/net/net_power_log.log")))

    def test_a_table_that_import_wrote_says_the_same_when_it_is_read_again(self):
        times = self.write("times.csv", "layer_name,type,time_us\nconv,Conv,300\ncopy,,100\nconv,Conv,500\ncopy,,100\n")
        whole = self.write("whole.json", '{"latencies": [0.001]}')
        first, again = self.path("first.csv"), self.path("again.json")
        told = self.prony("layers", "import", times, whole, "--csv", first, "--json", "-")
        self.assertEqual(self.prony("layers", "import", first, "--json", again).returncode, 0)
        told, again = json.loads(told.stdout), self.load("again.json")
        self.assertEqual([(row["layer"], row["runs"], row["mean_ms"]) for row in again["layers"]],
                         [(row["layer"], row["runs"], row["mean_ms"]) for row in told["layers"]])
        self.assertAlmostEqual(again["end_to_end_ms"], 1.0, places=12)

    def test_a_byte_order_mark_before_a_recording_changes_nothing(self):
        mark = "\ufeff"
        for name, text in (("times.csv", "layer_name,time_ms\nconv,1\ncopy,2\n"), ("layers.json", '{"conv": [1.0], "copy": [2.0]}'), ("engine.json", json.dumps(ENGINE))):
            told = [self.prony("layers", "import", self.write(path, text), "--json", "-") for path, text in
                    ((name, text), ("marked-" + name, mark + text))]
            self.assertEqual(told[1].returncode, 0, told[1].stderr)
            plain, other = (json.loads(one.stdout) for one in told)
            self.assertEqual((plain["layers"], plain["files"][0]["facts"]), (other["layers"], other["files"][0]["facts"]))

    def test_training_data_of_a_network_are_one_table_of_all_its_kinds(self):
        self.write("train/net/dense.csv", "batch_size,input_size,output_size,power,runtime,layer_name\n1,64,10,5e5,0.25,fc\n")
        self.write("train/net/convolutional.csv", "batch_size,input_size_0,input_size_1,input_size_2,output_size_0,output_size_1,output_size_2,kernel_0,kernel_1,"
                   "padding_0,padding_1,stride_0,stride_1,power,runtime,layer_name\n1,3,8,8,4,8,8,3,3,2,2,1,1,5e5,0.75,conv\n")
        read = json.loads(self.prony("layers", "import", self.path("train/net"), "--json", "-").stdout)
        self.assertEqual([(row["layer"], row["type"]) for row in read["layers"]], [("conv", "convolutional"), ("fc", "dense")])
        self.assertIn("dense.csv", read["notes"][0])
        os.makedirs(self.path("train/other"))
        os.rename(self.path("train/net/dense.csv"), self.path("train/other/dense.csv"))
        read = json.loads(self.prony("layers", "import", self.path("train"), "--json", "-").stdout)
        self.assertEqual([row["layer"] for row in read["layers"]], ["conv"])  # another network's

    def test_a_network_that_cannot_be_mapped_is_named_and_the_others_are_mapped(self):
        folder = self.raw()
        self.write("raw/bad/bad_power_log.log", "rubbish\n")
        self.write("raw/bad/trt_profiling/trt_engine_info.json", json.dumps(ENGINE))
        self.write("raw/bad/trt_profiling/trt_layer_latency.json", '{"conv": [[1.0, "20241121-00:00:01.5"]]}')
        done = self.prony("layers", "map", "--legacy", folder)
        self.assertEqual(done.returncode, 125)
        self.assertIn("bad_power_log.log", done.stderr.decode())
        self.assertIn("net, by EdgeProfiler's rule", done.stdout.decode())
        self.assertEqual(self.prony("layers", "map", folder).returncode, 125)
        self.assertEqual(self.prony("layers", "map", "--legacy", self.path("nowhere")).returncode, 125)

    def test_files_given_together_are_of_one_network_and_its_layers_add_up(self):
        times = self.write("times.csv", "layer_name,type,time_us\nconv,Conv,300\ncopy,,100\nconv,Conv,500\ncopy,,100\n")
        whole = self.write("bench.json", json.dumps(json.dumps({"config": {"model": "net"}, "latencies": [0.001, 0.001]})))
        engine = self.write("engine.json", json.dumps(ENGINE))
        done = self.prony("layers", "import", times, whole, engine, "--json", "-")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertAlmostEqual(told["layers_together_ms"] + told["unattributed_ms"], told["end_to_end_ms"], places=12)
        self.assertAlmostEqual(told["unattributed_ms"], 0.5, places=12)
        self.assertEqual(told["layers"][0]["macs"], 4 * 8 * 8 * 3 * 9)
        self.assertEqual(told["layers"][1]["type"], "Reformat")
        other = self.prony("layers", "import", times, whole, self.write("other.json", '{"latencies": [0.5]}'), "--json", "-")
        self.assertIsNone(json.loads(other.stdout)["unattributed_ms"])
        self.assertIn("which belong to these layers is not known", json.loads(other.stdout)["notes"][0])
        short = self.write("short.json", '{"latencies": [0.0003]}')  # the layers take 0.5 ms
        below = json.loads(self.prony("layers", "import", times, short, "--json", "-").stdout)
        self.assertAlmostEqual(below["unattributed_ms"], -0.2, places=12)
        self.assertIn("(unattributed) is below zero", " ".join(below["notes"]))
        text = self.prony("layers", "import", times, whole, engine)
        self.assertNotIn("below zero", text.stdout.decode())
        self.assertIn("(unattributed)", text.stdout.decode())
        self.assertIn("double-encoded", text.stdout.decode())

    def test_kernels_of_a_trace_stand_under_the_range_in_which_they_were_launched(self):
        path = self.path("trace.sqlite")
        with sqlite3.connect(path) as base:
            base.executescript(
                "CREATE TABLE StringIds(id INTEGER, value TEXT);"
                "CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL(start INTEGER, end INTEGER, correlationId INTEGER, shortName INTEGER);"
                "CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME(start INTEGER, end INTEGER, correlationId INTEGER, globalTid INTEGER);"
                "CREATE TABLE NVTX_EVENTS(start INTEGER, end INTEGER, text TEXT, textId INTEGER, globalTid INTEGER);"
                "INSERT INTO StringIds VALUES (1, 'gemm'), (2, 'copy'), (3, 'conv1');"
                "INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (100, 110, 1, 7), (300, 310, 2, 7), (100, 110, 3, 8);"
                "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (1000, 3000, 1, 1), (4000, 5000, 2, 2), (6000, 7000, 3, 1);"
                "INSERT INTO NVTX_EVENTS VALUES (0, 1000, 'inference', NULL, 7), (50, 200, NULL, 3, 7);")
        done = self.prony("layers", "import", path, "--json", "-")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = {row["layer"]: row["mean_ms"] for row in json.loads(done.stdout)["layers"]}
        self.assertEqual(told, {"conv1": 0.002, "inference": 0.001, "gemm": 0.001})
        other = self.path("other.sqlite")
        with sqlite3.connect(other) as base:
            base.execute("CREATE TABLE x(y)")
        done = self.prony("layers", "import", other)
        self.assertEqual(done.returncode, 125)
        self.assertIn("nsys export", done.stderr.decode())

    def test_launches_of_two_processes_with_one_number_are_not_mixed_up(self):
        def trace(name, column):
            path = self.path(name)
            with sqlite3.connect(path) as base:
                base.executescript(
                    "CREATE TABLE StringIds(id INTEGER, value TEXT);"
                    f"CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL(start INTEGER, end INTEGER, correlationId INTEGER, shortName INTEGER, {column} INTEGER);"
                    "CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME(start INTEGER, end INTEGER, correlationId INTEGER, globalTid INTEGER);"
                    "CREATE TABLE NVTX_EVENTS(start INTEGER, end INTEGER, text TEXT, textId INTEGER, globalTid INTEGER);"
                    "INSERT INTO StringIds VALUES (1, 'gemm');")
                for process, layer, took in ((1, "conv1", 1000), (2, "fc", 3000)):
                    thread = (process << 24) + 7
                    base.execute("INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (100, 110, 1, ?)", (thread,))
                    base.execute("INSERT INTO NVTX_EVENTS VALUES (50, 200, ?, NULL, ?)", (layer, thread))
                    base.execute("INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (1000, ?, 1, 1, ?)", (1000 + took, process << 24))
            return self.prony("layers", "import", path, "--json", "-")
        done = trace("two.sqlite", "globalPid")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual({row["layer"]: (row["runs"], row["mean_ms"]) for row in json.loads(done.stdout)["layers"]},
                         {"conv1": (1, 0.001), "fc": (1, 0.003)})
        done = trace("old.sqlite", "other")
        self.assertEqual(done.returncode, 125)
        self.assertIn("several processes", done.stderr.decode())

    def test_what_is_no_recording_is_refused_with_its_name(self):
        for name, text in (("cut.json", '{"conv": [[1.0, "2024'), ("empty", ""), ("text.txt", "hello\n"), ("list.json", "[1, 2]"),
                           ("engine.json", '{"Layers": ['), ("deep.json", '{"a": ' + "[" * 5000)):
            path = self.write(name, text)
            done = self.prony("layers", "import", path)
            self.assertEqual(done.returncode, 125, name)
            self.assertIn(name, done.stderr.decode())
        self.assertEqual(self.prony("layers", "import", self.folder + "/nothing").returncode, 125)
        os.mkfifo(self.path("pipe"))
        self.assertEqual(self.prony("layers", "import", self.path("pipe")).returncode, 125)

    @unittest.skipUnless(os.path.isdir(DATA), "no published recordings beside the sources (shared/data/edgeprofiler)")
    def test_published_recordings_are_read_mapped_and_written_again(self):
        trt = os.path.join(DATA, "torch_onnx_trt")
        files = [os.path.join(trt, n) for n in ("trt_layer_latency.json", "trt_engine_info.json", "resnet18_tensorrt_20241029-191636.json")]
        done = self.prony("layers", "import", *files, "--json", "-", "--to-raw", self.path("again"), "--name", "resnet18")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual(len(told["layers"]), 29)
        notes = " ".join(note for one in told["files"] for note in one["notes"])
        self.assertIn("WindowSize, not in Kernel", notes)
        self.assertIn("double-encoded", notes)
        with open(self.path("again/resnet18/trt_profiling/trt_layer_latency.json"), encoding="utf-8") as mine, open(files[0], encoding="utf-8") as theirs:
            self.assertEqual(json.load(mine), json.load(theirs))
        for folder in ("trtexec", "golden"):
            self.assertEqual(self.prony("layers", "import", os.path.join(DATA, folder)).returncode, 0, folder)
        mapped = self.prony("layers", "map", "--legacy", os.path.join(DATA, "golden/example_raw_data"), "-o", self.path("out"))
        self.assertEqual(mapped.returncode, 0, mapped.stderr)
        for name in ("simple", "multiple_readings", "multiple_layers"):
            with open(os.path.join(DATA, "golden/example_raw_data", name, "expected_metrics_by_cycle.json"), encoding="utf-8") as file:
                expected = json.load(file)
            with open(self.path("out", name, "power_runtime_mapping_layerwise.csv"), encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            self.assertEqual([{k: str(v) for k, v in row.items()} for row in expected], rows)

    def test_the_truth_test_says_what_each_method_finds(self):
        done = self.prony("layers", "truth", "--networks", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("| 6.6 ms | EdgeProfiler's mean | the network as it runs |", done.stdout.decode())
        self.assertIn("not resolvable: needs each layer looped for", done.stdout.decode())


if __name__ == "__main__":
    harness.main()
