"""`prony inspect`: what a model is and costs, from files that synth wrote, whole, in pieces, in Ollama's store, and hostile.

Kills: a shard counted twice or left out, a name or manifest that leads out of Ollama's store, a peak without its bandwidth,
an answer's first token computed twice, a hang or crash on a damaged file.
"""

import hashlib
import json
import os
import struct
import subprocess

import harness
from harness import Case, program


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf(values, tensors, data=b""):
    """A GGUF file (version 3): values are (key, number or text), tensors (name, shape, offset), all F32."""
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    for key, value in values:
        out += text(key) + (struct.pack("<I", 8) + text(value) if isinstance(value, str) else struct.pack("<II", 4, value))
    for name, shape, offset in tensors:
        out += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape) + struct.pack("<IQ", 0, offset)
    return out + bytes(-len(out) % 32) + data


class Inspect(Case):
    def write(self, name, content):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as file:
            file.write(content)
        return self.path(name)

    def synth(self, name="m.gguf", params="1M"):
        done = self.prony("synth", "llama", "--params", params, "--quant", "f16", "-o", self.path(name))
        self.assertEqual(done.returncode, 0, done.err)
        return self.path(name)

    def inspect(self, *words, **more):
        done = self.prony("inspect", *words, "--json", **more)
        self.assertEqual(done.returncode, 0, done.err)
        return json.loads(done.out)

    def refused(self, *words, saying="", **more):
        done = self.prony("inspect", *words, timeout=30, **more)
        self.assertEqual(done.returncode, 125, done.out)
        self.assertIn(saying, done.err)
        self.assertEqual(done.out, "")
        return done.err


class Files(Inspect):
    def test_a_synthetic_model_has_the_parameters_that_synth_wrote(self):
        told = self.prony("synth", "llama", "--params", "1M", "--quant", "f16", "-o", self.path("m.gguf")).out
        found = self.inspect(self.path("m.gguf"))
        self.assertIn(f" {found['model']['parameters']} parameters", told)
        self.assertEqual(found["model"]["file_bytes"], os.path.getsize(self.path("m.gguf")))
        self.assertAlmostEqual(found["model"]["bits_per_weight"], 16, delta=0.2)  # norms have 32
        self.assertEqual(found["model"]["architecture"], "llama")

    def test_the_first_token_of_an_answer_comes_of_its_prompt(self):
        model = self.synth()
        one = self.inspect(model, "--output-tokens", "1")
        self.assertEqual((one["generation"]["flop"], one["generation"]["tokens"]), (0, 0))
        two = self.inspect(model, "--output-tokens", "2", "--batch", "3")
        self.assertEqual(two["generation"]["tokens"], 3)
        self.assertEqual(one["prefill"], two["prefill"])

    def test_a_roofline_is_flop_by_peak_or_bytes_by_bandwidth_whichever_takes_longer(self):
        model = self.synth()
        slow = self.inspect(model, "--peak-flops", "1G", "--peak-bandwidth", "1000TB/s")
        self.assertEqual(slow["roofline"]["generation"]["bound_by"], "compute")
        self.assertAlmostEqual(slow["roofline"]["prefill"]["least_s"], slow["prefill"]["flop"] / 1e9)
        thin = self.inspect(model, "--peak-flops", "1000TFLOP/s", "--peak-bandwidth", "1e9")
        self.assertEqual(thin["roofline"]["generation"]["bound_by"], "memory")
        read = sum(thin["generation"][part] for part in ("weight_bytes", "kv_read_bytes", "kv_written_bytes"))
        self.assertAlmostEqual(thin["roofline"]["generation"]["most_tokens_per_s"], 127 / (read / 1e9), places=3)
        self.refused(model, "--peak-flops", "1T", saying="belong together")
        for bad in ("0", "-1T", "nan", "fast", "1X", "T"):
            self.refused(model, "--peak-flops", bad, "--peak-bandwidth", "1T", saying="is no rate")

    def test_lengths_that_are_none_are_refused(self):
        model = self.synth()
        for option in ("--prompt-tokens", "--output-tokens", "--batch"):
            for bad in ("0", "-1", "1.5", "1e30", "nan"):
                self.refused(model, f"{option}={bad}")

    def test_text_says_what_it_assumes(self):
        out = self.prony("inspect", self.synth(), "--peak-flops", "1T", "--peak-bandwidth", "50GB/s").out
        for word in ("parameters", "KV cache", "tokens/s", "memory", "1 multiply-add = 2 FLOP", "a ceiling at 1.00 TFLOP/s"):
            self.assertIn(word, out)

    def test_a_quantised_cache_is_smaller(self):
        model = self.synth()
        half, eight = self.inspect(model), self.inspect(model, "--cache-type", "q8_0")
        self.assertAlmostEqual(eight["kv_cache"]["bytes_per_token"] / half["kv_cache"]["bytes_per_token"], 1.0625 / 2)
        self.refused(model, "--cache-type", "q3_z", saying="q3_z")


class Shards(Inspect):
    def shard(self, number, count=2):
        first = [("general.architecture", "llama"), ("llama.block_count", 1)] if number == 0 else []
        split = [("split.no", number), ("split.count", count), ("split.tensors.count", count)]
        return self.write(f"s-{number + 1:05}-of-{count:05}.gguf",
                          gguf(first + split, [(f"blk.0.ffn_{number}.weight", (8, 4), 0)], bytes(128)))

    def test_all_files_of_a_model_are_found_from_any_of_them(self):
        for path in (self.shard(0), self.shard(1)):
            self.shard(1)
            found = self.inspect(path)["model"]
            self.assertEqual((found["parameters"], len(found["files"])), (64, 2))

    def test_a_missing_file_is_named(self):
        self.assertIn("s-00002-of-00002.gguf", self.refused(self.shard(0), saying="file 2 of 2 of the model is missing"))

    def test_a_model_of_very_many_files_is_refused_at_once(self):
        self.refused(self.shard(0, 99999), saying="99999 files")


class Ollama(Inspect):
    def store(self, weights, digest=None, where="models", size=None):
        digest = digest or "sha256:" + hashlib.sha256(weights).hexdigest()
        layers = [{"mediaType": "application/vnd.ollama.image.model", "digest": digest, "size": len(weights) if size is None else size},
                  {"mediaType": "application/vnd.ollama.image.projector", "digest": "sha256:" + "0" * 64, "size": 1}]
        self.write(f"{where}/manifests/registry.ollama.ai/library/tiny/latest", json.dumps({"layers": layers}).encode())
        self.write(f"{where}/blobs/sha256-{hashlib.sha256(weights).hexdigest()}", weights)
        return {"OLLAMA_MODELS": self.path(where)}

    def weights(self):
        with open(self.synth(), "rb") as file:
            return file.read()

    def test_a_model_is_found_with_and_without_its_tag_and_in_the_users_own_folder(self):
        there = self.store(self.weights())
        plain = self.inspect(self.path("m.gguf"))["model"]["parameters"]
        for name in ("ollama:tiny", "ollama:tiny:latest", "ollama:library/tiny"):
            found = self.inspect(name, env=there)["model"]
            self.assertEqual((found["parameters"], found["not_counted"]), (plain, ["projector"]))
        self.store(self.weights_again(), where=".ollama/models")
        self.assertEqual(self.inspect("ollama:tiny", env={"OLLAMA_MODELS": ""})["model"]["parameters"], plain)

    def weights_again(self):
        with open(self.path("m.gguf"), "rb") as file:
            return file.read()

    def test_names_and_manifests_that_lead_elsewhere_are_refused(self):
        there = self.store(self.weights())
        self.refused("ollama:other", saying="no Ollama model", env=there)
        for name in ("ollama:../../x", "ollama:", "ollama:a:../b", "ollama:/etc/passwd"):
            self.refused(name, saying="no name of an Ollama model", env=there)
        there = self.store(self.weights_again(), digest="sha256:../../../m.gguf")
        self.refused("ollama:tiny", saying="no SHA-256 digest", env=there)
        there = self.store(self.weights_again(), size=7)
        self.refused("ollama:tiny", saying="the manifest says 7", env=there)


class Folders(Inspect):
    CONFIG = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
    SHAPES = {"model.embed_tokens.weight": [100, 64], "model.norm.weight": [64], "lm_head.weight": [100, 64],
              **{f"model.layers.{i}.self_attn.{n}_proj.weight": [rows, 64]
                 for i in range(2) for n, rows in (("q", 64), ("k", 32), ("v", 32), ("o", 64))}}

    def safetensors(self, shapes):
        head, at = {"__metadata__": {"format": "pt"}}, 0
        for name, shape in shapes.items():
            size = 2
            for one in shape:
                size *= one
            head[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
            at += size
        raw = json.dumps(head).encode()
        return struct.pack("<Q", len(raw)) + raw + bytes(at)

    def model_folder(self, config=None):
        self.write("hf/config.json", json.dumps(config or self.CONFIG).encode())
        self.write("hf/model.safetensors", self.safetensors(self.SHAPES))
        return self.path("hf")

    def test_a_folder_of_transformers_has_its_parameters_cache_and_costs(self):
        found = self.inspect(self.model_folder(), "--prompt-tokens", "10")
        parameters = sum(shape[0] * (shape[1] if len(shape) > 1 else 1) for shape in self.SHAPES.values())
        self.assertEqual((found["model"]["parameters"], found["model"]["bits_per_weight"]), (parameters, 16))
        self.assertEqual(found["kv_cache"]["bytes_per_token"], 2 * 2 * 2 * 16 * 2)  # layers, K and V, heads, length, bytes
        linear = 2 * (10 * (parameters - 2 * 6400 - 64) + 6400)  # the head for the last token alone
        self.assertEqual(found["prefill"]["linear_flop"], linear)
        self.assertEqual(found["prefill"]["attention_flop"], 2 * 4 * 4 * 16 * 55)

    def test_an_unknown_architecture_is_counted_and_says_what_cannot_be_known(self):
        folder = self.model_folder({**self.CONFIG, "model_type": "brandnew"})
        found = self.inspect(folder)
        self.assertIn("brandnew", found["why_no_costs"])
        self.assertNotIn("prefill", found)
        self.assertGreater(found["model"]["parameters"], 0)
        self.assertIn("brandnew", self.prony("inspect", folder).out)

    def test_files_of_an_index_are_read_and_a_missing_one_is_named(self):
        folder = self.model_folder()
        os.remove(self.path("hf/model.safetensors"))
        names = list(self.SHAPES)
        parts = {"model-00001-of-00002.safetensors": names[:5], "model-00002-of-00002.safetensors": names[5:]}
        for file, inside in parts.items():
            self.write("hf/" + file, self.safetensors({name: self.SHAPES[name] for name in inside}))
        index = {"weight_map": {name: file for file, inside in parts.items() for name in inside}}
        self.write("hf/model.safetensors.index.json", json.dumps(index).encode())
        self.assertEqual(len(self.inspect(folder)["model"]["files"]), 2)
        os.remove(self.path("hf/model-00002-of-00002.safetensors"))
        self.refused(folder, saying="model-00002-of-00002.safetensors")
        self.write("hf/model.safetensors.index.json", b'{"weight_map":{"a":"../../etc/passwd"}}')
        self.refused(folder, saying="outside of its folder")

    def test_damaged_folders_are_an_error_in_bounded_time(self):
        folder = self.model_folder()
        for content in (b"", b"short", struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 200_000_000) + b"{}",
                        struct.pack("<Q", 2_000_000) + b"[" * 2_000_000, self.safetensors(self.SHAPES)[:-1]):
            self.write("hf/model.safetensors", content)
            self.refused(folder)
        for config in (b"", b"[" * 1_000_000, b'"x"', b" " * 5_000_000):
            self.write("hf/config.json", config)
            self.refused(folder)
        os.remove(self.path("hf/config.json"))
        self.refused(folder, saying="config.json")
        os.mkfifo(self.path("hf/config.json"))
        self.refused(folder)


def field(number, content):
    """One field of protobuf's wire format: a whole number, or bytes with their length."""
    def varint(value):
        out = b""
        while value > 127:
            out, value = out + bytes([value & 127 | 128]), value >> 7
        return out + bytes([value])
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    raw = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def port(name, *dimensions):
    shape = b"".join(field(1, field(2 if isinstance(d, str) else 1, d)) for d in dimensions)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


class Onnx(Inspect):
    """A network of one matrix and a ReLU, its batch left open."""

    def network(self):
        weights = field(1, 64) + field(1, 10) + field(2, 1) + field(8, "w") + field(9, bytes(64 * 10 * 4))
        nodes = [field(1, "x") + field(1, "w") + field(2, "h") + field(3, "dense") + field(4, "MatMul"),
                 field(1, "h") + field(2, "y") + field(3, "act") + field(4, "Relu")]
        graph = b"".join(field(1, node) for node in nodes) + field(2, "tiny") + field(5, weights) + \
            field(11, port("x", "batch", 64)) + field(12, port("y", "batch", 10))
        return self.write("tiny.onnx", field(1, 8) + field(2, "hand") + field(7, graph) + field(8, field(1, "") + field(2, 17)))

    def test_nodes_parameters_macs_and_bytes_are_of_the_shape_that_was_given(self):
        path = self.network()
        found = self.inspect(path, "--shape", "batch=4")
        self.assertEqual((found["model"]["parameters"], found["model"]["nodes"]), (640, 2))
        self.assertEqual((found["run"]["macs"], found["run"]["flop"]), (4 * 64 * 10, 2 * 4 * 64 * 10))
        dense = next(row for row in found["kinds"] if row["kind"] == "dense")
        self.assertEqual(dense["bytes_moved"], 4 * (4 * 64 + 640 + 4 * 10))
        self.assertEqual(self.inspect(path, "--shape", "8x64")["run"]["macs"], 2 * found["run"]["macs"])
        roof = self.inspect(path, "--shape", "batch=4", "--peak-flops", "1k", "--peak-bandwidth", "1E")["roofline"]
        self.assertAlmostEqual(roof["least_s"], 5.12)
        text = self.prony("inspect", path, "--shape", "batch=4").out
        for word in ("tiny", "ONNX", "640", "2.56 kMAC", "dense", "activation"):
            self.assertIn(word, text)

    def test_a_size_that_nobody_gave_is_asked_for_and_damage_is_an_error(self):
        path = self.network()
        self.refused(path, saying="batch")
        odd = self.inspect(path, "--shape", "4x65")  # no such matrix: the sum is none, and it is said of which node
        self.assertEqual((odd["run"]["complete"], odd["not_counted"][0]["name"]), (False, "dense"))
        self.assertIn("not counted", self.prony("inspect", path, "--shape", "4x65").out)
        self.refused(path, "--shape", "many")
        self.refused(self.synth(), "--shape", "batch=4", saying="ONNX")
        with open(path, "rb") as file:
            whole = file.read()
        for name, content in (("cut", whole[:200]), ("empty", b""), ("noise", bytes(range(256)) * 20)):
            self.refused(self.write(name + ".onnx", content))


class Machine(Inspect):
    """Peaks of this machine, measured in a process of its own and kept."""

    def test_what_was_measured_is_kept_and_is_the_ceiling_until_it_is_forgotten(self):
        if not program("prony-peaks"):
            self.skipTest("prony-peaks was not built")
        model = self.synth()
        self.assertNotIn("roofline", self.inspect(model))
        done = self.prony("inspect", "--measure-machine", "--threads", "1", "--json")
        self.assertEqual(done.returncode, 0, done.err)
        peaks = json.loads(done.out)
        self.assertEqual(peaks["threads"], 1)
        for loop in ("flop", "read_bytes", "triad_bytes"):
            self.assertGreater(peaks[loop]["median_per_s"], 1e6)  # any machine; a count in place of a rate would not be
            self.assertGreaterEqual(peaks[loop]["best_per_s"], peaks[loop]["median_per_s"])
            self.assertGreaterEqual(peaks[loop]["repetitions"], 5)
        found = self.inspect(model)["roofline"]
        self.assertEqual(found["peak_flop_per_s"], peaks["flop"]["best_per_s"])
        self.assertEqual(found["peak_bytes_per_s"], max(peaks[n]["best_per_s"] for n in ("read_bytes", "triad_bytes")))
        self.assertTrue(found["peak_source"].startswith("measured "), found["peak_source"])
        self.assertIn("1 thread", self.prony("inspect", model).out)
        given = self.inspect(model, "--peak-flops", "1T", "--peak-bandwidth", "1T")["roofline"]
        self.assertEqual((given["peak_flop_per_s"], given["peak_source"]), (1e12, "flag"))
        kept = [os.path.join(where, name) for where, _, names in os.walk(self.path(".local")) for name in names]
        self.assertEqual(len(kept), 1)
        whole = self.load(os.path.relpath(kept[0], self.folder))
        for damage in ({**whole, "flop": {}}, {**whole, "machine": "another one"}):  # never used, and said
            with open(kept[0], "w", encoding="utf-8") as file:
                json.dump(damage, file)
            done = self.prony("inspect", model, "--json")
            self.assertNotIn("roofline", json.loads(done.out))
            self.assertIn("peaks", done.err)
        self.assertIn("forgotten", self.prony("inspect", "--forget-machine").out)
        self.assertNotIn("roofline", self.inspect(model))

    def test_a_benchmark_that_fails_is_no_measurement(self):
        for words in (["--threads", "0"], ["--threads", "x"], [self.synth()], ["--forget-machine"]):
            with self.subTest(words=words):
                self.refused("--measure-machine", *words)
        self.refused()

    def test_the_benchmark_itself_refuses_what_is_no_number(self):
        if not program("prony-peaks"):
            self.skipTest("prony-peaks was not built")
        for words in ([], ["1"], ["x", "1"], ["-1", "1"], ["1", "nan"], ["1", "1", "1"], ["99999", "1"]):
            done = subprocess.run([program("prony-peaks"), *words], capture_output=True, timeout=30, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, b""))


class Hostile(Inspect):
    def test_damaged_files_are_an_error_in_bounded_time(self):
        tensor = [("blk.0.ffn_up.weight", (8, 4), 0)]
        whole = gguf([("general.architecture", "x"), ("x.block_count", 1)], tensor, bytes(128))
        cases = {
            "empty": b"", "cut": whole[:50], "short": whole[:-1], "zip": b"PK\3\4" + bytes(100),
            "counts": b"GGUF" + struct.pack("<IQQ", 3, 2**63, 2**63), "past": gguf([], [("a", (8, 4), 2**60)], bytes(128)),
            "product": gguf([], [("a", (2**40, 2**40), 0)], bytes(128)), "twice": gguf([], tensor * 2, bytes(256)),
            "lies-on": gguf([], [("a", (8, 4), 0), ("b", (8, 4), 64)], bytes(256)),
        }
        for name, content in cases.items():
            with self.subTest(name):
                self.refused(self.write(name + ".gguf", content))

    def test_a_pipe_a_device_and_nothing_are_refused_and_not_waited_for(self):
        os.mkfifo(self.path("pipe"))
        for place in (self.path("pipe"), "/dev/zero", self.path("none"), self.path("")):
            self.refused(place)

    def test_huge_figures_stay_finite(self):
        values = [("general.architecture", "x"), ("x.block_count", 1), ("x.attention.head_count", 2**31),
                  ("x.attention.key_length", 2**31), ("x.context_length", 2**32 - 1)]
        model = self.write("huge.gguf", gguf(values, [("blk.0.attn_k.weight", (8, 4), 0)], bytes(128)))
        found = self.inspect(model, "--prompt-tokens", "10000000", "--output-tokens", "10000000", "--batch", "1000000")
        self.assertGreater(found["generation"]["flop"], 1e30)

    def test_names_in_a_file_cannot_write_to_the_terminal(self):
        values = [("general.architecture", "x\x1b[2J"), ("general.name", "\x1b]0;gone\x07")]
        done = self.prony("inspect", self.write("esc.gguf", gguf(values, [("a", (8, 4), 0)], bytes(128))))
        self.assertEqual(done.returncode, 0, done.err)
        self.assertNotIn("\x1b", done.out)


if __name__ == "__main__":
    harness.main()
