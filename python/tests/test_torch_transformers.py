"""The hook on generate, with transformers itself and models made here: tiny, of random weights, on the host's processors."""

import threading

import prony
import prony.torch
import prony.transformers
from support import Case

VOCABULARY, END = 40, 3


class Generate(Case):
    def setUp(self):
        super().setUp()
        self.torch, self.transformers = self.library("torch"), self.library("transformers")
        self.torch.manual_seed(0)
        self.transformers.logging.set_verbosity_error()
        config = self.transformers.GPT2Config(vocab_size=VOCABULARY, n_positions=64, n_embd=16, n_layer=2, n_head=2,
                                              bos_token_id=1, eos_token_id=END, pad_token_id=0)
        self.model = self.transformers.GPT2LMHeadModel(config).eval()
        self.prompt = self.torch.tensor([[5, 6, 7, 8, 9]])

    def never_ends(self, **options):
        """Greedy, and the end token is never the largest."""
        return {"do_sample": False, "suppress_tokens": [END], "eos_token_id": END, "pad_token_id": 0, **options}

    def recorded(self, work):
        self.runs = getattr(self, "runs", 0) + 1
        with self.meter(f"{self.runs}.prony") as meter:
            work()
        run = meter.run()
        self.addCleanup(run.close)
        self.run_ = run
        return run.spans

    def kinds(self, spans, kind, parent=None):
        return [s for s in spans if s.kind == kind and (parent is None or s.parent == parent.id)]

    def test_stopping_criteria_by_name_and_in_their_place_are_heeded(self):
        class Enough(self.transformers.StoppingCriteria):
            def __call__(self, ids, scores, **_):
                return ids.shape[1] >= 8

        def work():
            with prony.transformers.generation(self.model):
                criteria = self.transformers.StoppingCriteriaList([Enough()])
                config = self.transformers.GenerationConfig(max_new_tokens=6, **self.never_ends())
                self.made = [self.model.generate(self.prompt, config, stopping_criteria=criteria),
                             self.model.generate(self.prompt, config, None, criteria)]

        requests = self.kinds(self.recorded(work), "request")
        self.assertEqual([made.shape[1] for made in self.made], [8, 8])
        self.assertEqual([request.get("output_tokens") for request in requests], [3, 3])

    def test_a_request_has_prefill_decode_and_a_span_per_token_that_share_their_edges(self):
        def work():
            with prony.transformers.generation(self.model):
                self.made = self.model.generate(self.prompt, max_new_tokens=6, **self.never_ends())

        spans = self.recorded(work)
        request, = self.kinds(spans, "request")
        self.assertEqual([request.get(k) for k in ("prompt_tokens", "output_tokens", "finish", "model", "clock")],
                         [5, 6, "length", "GPT2LMHeadModel", None])
        self.assertEqual(self.made.shape[1] - 5, 6)
        prefill, = self.kinds(spans, "prefill", request)
        decode, = self.kinds(spans, "decode", request)
        tokens = self.kinds(spans, "token", request)
        self.assertEqual(len(tokens), 6)
        self.assertEqual((tokens[0].begin_ns, tokens[0].end_ns), (prefill.begin_ns, prefill.end_ns))
        self.assertEqual([t.begin_ns for t in tokens[1:]], [t.end_ns for t in tokens[:-1]])
        self.assertEqual((decode.begin_ns, decode.end_ns), (tokens[0].end_ns, tokens[-1].end_ns))
        self.assertTrue(request.begin_ns <= prefill.begin_ns and decode.end_ns <= request.end_ns)
        row, = self.run_.summary().data["requests"]
        self.assertEqual((row["prompt_tokens"], row["output_tokens"]), (5, 6))

    def test_the_tokens_are_the_same_with_the_hook_and_nothing_is_left_after_it(self):
        plain = self.model.generate(self.prompt, max_new_tokens=8, **self.never_ends())
        hook = prony.transformers.generation(self.model)

        def work():
            with hook:
                hook.attach()
                self.hooked = self.model.generate(self.prompt, max_new_tokens=8, **self.never_ends())
            hook.detach()

        self.recorded(work)
        self.assertTrue(self.torch.equal(plain, self.hooked))
        self.assertNotIn("generate", vars(self.model))
        after = self.recorded(lambda: self.model.generate(self.prompt, max_new_tokens=2, **self.never_ends()))
        self.assertEqual(self.kinds(after, "request"), [])

    def ends(self, row, step):
        """A logits processor: greedy never ends, but that row at that step."""
        class Ends(self.transformers.LogitsProcessor):
            steps = 0

            def __call__(self, ids, scores):
                self.steps += 1
                scores[:, END] = -1e9
                if self.steps == step:
                    scores[row, END] = 1e9
                return scores

        return [Ends()]

    def test_one_token_has_no_decode_and_an_end_token_is_counted_and_told(self):
        def work():
            with prony.transformers.generation(self.model):
                self.model.generate(self.prompt, max_new_tokens=1, **self.never_ends())
                self.model.generate(self.prompt, max_new_tokens=20, do_sample=False, eos_token_id=END, pad_token_id=0,
                                    logits_processor=self.ends(0, 4))

        spans = self.recorded(work)
        first, second = self.kinds(spans, "request")
        self.assertEqual((self.kinds(spans, "decode", first), first.get("output_tokens")), ([], 1))
        self.assertEqual((second.get("output_tokens"), second.get("finish")), (4, "eos"))

    def test_of_several_sequences_each_is_a_request_with_its_own_counts_and_its_own_end(self):
        torch = self.torch
        prompts = torch.tensor([[0, 0, 5, 6], [4, 5, 6, 7]])
        mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])

        def work():
            with prony.transformers.generation(self.model, name="pair"):
                self.model.generate(prompts, attention_mask=mask, max_new_tokens=7, do_sample=False, pad_token_id=0,
                                    eos_token_id=END, logits_processor=self.ends(1, 3))

        spans = self.recorded(work)
        batch, = self.kinds(spans, "batch")
        first, second = sorted(self.kinds(spans, "request", batch), key=lambda s: s.name)
        self.assertEqual([[r.get(k) for k in ("prompt_tokens", "output_tokens", "finish")] for r in (first, second)],
                         [[2, 7, "length"], [4, 3, "eos"]])
        self.assertEqual((batch.get("sequences"), first.name), (2, "pair 0"))
        self.assertLess(second.end_ns, first.end_ns)
        for request in (first, second):
            prefill, decode = self.kinds(spans, "prefill", request)[0], self.kinds(spans, "decode", request)[0]
            self.assertEqual((prefill.end_ns, decode.end_ns), (decode.begin_ns, request.end_ns))

    def test_beams_are_told_and_what_is_returned_is_counted(self):
        def work():
            with prony.transformers.generation(self.model):
                self.model.generate(self.prompt, max_new_tokens=4, num_beams=3, return_dict_in_generate=True,
                                    **self.never_ends())

        request, = self.kinds(self.recorded(work), "request")
        self.assertEqual([request.get(k) for k in ("beams", "output_tokens", "prompt_tokens")], [3, 4, 5])

    def test_an_encoders_input_is_the_prompt_and_the_decoders_start_token_is_no_output(self):
        config = self.transformers.T5Config(vocab_size=VOCABULARY, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2,
                                            decoder_start_token_id=0, eos_token_id=END, pad_token_id=0)
        model = self.transformers.T5ForConditionalGeneration(config).eval()

        def work():
            with prony.transformers.generation(model):
                model.generate(input_ids=self.prompt, max_new_tokens=4, **self.never_ends())

        spans = self.recorded(work)
        request, = self.kinds(spans, "request")
        self.assertEqual((request.get("prompt_tokens"), request.get("output_tokens")), (5, 4))
        self.assertEqual(len(self.kinds(spans, "token", request)), 4)

    def test_a_failure_in_the_middle_is_failed_and_its_tokens_up_to_then_are_there(self):
        class Fails(self.transformers.StoppingCriteria):
            calls = 0

            def __call__(self, ids, scores, **_):
                Fails.calls += 1
                if Fails.calls == 3:
                    raise KeyError("third")
                return self_torch.zeros(ids.shape[0], dtype=self_torch.bool)

        self_torch = self.torch

        def work():
            with prony.transformers.generation(self.model), self.assertRaises(KeyError):
                self.model.generate(self.prompt, max_new_tokens=6, stopping_criteria=[Fails()], **self.never_ends())

        spans = self.recorded(work)
        request, = self.kinds(spans, "request")
        self.assertEqual((request.status, request.get("output_tokens")), ("failed", 2))
        self.assertEqual(len(self.kinds(spans, "token", request)), 2)

    def test_threads_generate_beside_one_another(self):
        def one(count):
            self.model.generate(self.prompt, max_new_tokens=count, **self.never_ends())

        def work():
            with prony.transformers.generation(self.model):
                threads = [threading.Thread(target=one, args=(n,)) for n in (3, 5)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()

        spans = self.recorded(work)
        counts = {r.get("output_tokens"): len(self.kinds(spans, "token", r)) for r in self.kinds(spans, "request")}
        self.assertEqual(counts, {3: 3, 5: 5})

    def test_layers_nest_in_the_request(self):
        def work():
            with prony.transformers.generation(self.model), prony.torch.layers(self.model):
                self.model.generate(self.prompt, max_new_tokens=3, **self.never_ends())

        spans = self.recorded(work)
        request, = self.kinds(spans, "request")
        passes = [s for s in self.kinds(spans, "layer") if s.name == "GPT2LMHeadModel"]
        self.assertEqual([s.parent for s in passes], [request.id] * 3)
        self.assertEqual(len([s for s in spans if s.name == "transformer.h.1.mlp"]), 3)

    def test_a_way_of_generating_that_asks_no_criteria_says_so(self):
        torch = self.torch

        class Other:
            config = generation_config = None

            def generate(self, ids, stopping_criteria=None):
                return torch.cat([ids, torch.tensor([[1, 2]])], dim=1)

        model = Other()

        def work():
            with prony.transformers.generation(model):
                model.generate(self.prompt)

        request, = self.kinds(self.recorded(work), "request")
        self.assertEqual((request.get("output_tokens"), request.get("finish")), (2, "stop"))
        self.assertIn("not seen", request.get("phases"))
        with self.assertRaisesRegex(TypeError, "int has no generate"):
            prony.transformers.generation(3)
