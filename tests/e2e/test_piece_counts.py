"""`prony llm` with servers that tell, while an answer comes, when they begin and how many tokens there are so far.

A piece of the stream is not a token: who counts them is believed, and where nobody does nobody guesses.
"""

import json

import fake_llm
import harness
from test_http_engines import HttpCase


class PieceCounts(HttpCase):
    def tokens_of(self, span):
        return [s for s in self.spans("token") if s["parent"] == span["id"]]

    def test_where_the_server_counts_them_each_token_has_the_time_of_its_piece(self):
        server = self.fake(fake_llm.OpenAi)
        server.counts_pieces = True
        rows = self.faults("openai", server, {"plain": None, "closes-in-mid-stream": "mid-answer", "last": None})
        spans = {span["name"]: span for span in self.spans("request")}
        self.assertEqual((rows["plain"]["output_tokens"], rows["plain"]["itl"]["count"]), (13, 12))
        tokens = self.tokens_of(spans["plain"])
        self.assertEqual(len(tokens), 13)
        for one, other in zip(tokens[:12:2], tokens[1:12:2]):  # two of each piece came together
            self.assertEqual(one["end_ns"], other["end_ns"])
        self.assertGreaterEqual(tokens[12]["end_ns"], tokens[11]["end_ns"])
        # What was told of an answer that broke off is no count of one, but it was made.
        self.assertNotIn("output_tokens", rows["closes-in-mid-stream"])
        self.assertEqual(spans["closes-in-mid-stream"]["output_tokens_so_far"], 6)
        self.assertNotIn("output_tokens_so_far", spans["plain"])

    def test_llama_server_tells_when_it_begins_and_how_many_tokens_are_in_each_piece(self):
        server = self.fake(fake_llm.OpenAi)
        rows = self.faults("llama-server", server, {"plain": None, "old": None, "kept-back": None,
                                                    "closes-in-prefill": "mid-answer", "closes-in-mid-stream": "mid-answer"})
        self.assertTrue(server.prompts()[0]["return_progress"])
        spans = {span["name"]: span for span in self.spans("request")}
        tokens = {name: [s["end_ns"] for s in self.spans("token") if s["parent"] == span["id"]] for name, span in spans.items()}
        self.assertEqual({name: len(ends) for name, ends in tokens.items()},
                         {"plain": 7, "old": 0, "kept-back": 0, "closes-in-prefill": 0, "closes-in-mid-stream": 4})
        self.assertEqual(tokens["plain"][0], tokens["plain"][1])  # the first piece held two
        # An older one tells neither, and nobody guesses: six pieces are not seven tokens.
        self.assertNotIn("begun_after_ns", spans["old"])
        self.assertEqual(rows["old"]["output_tokens"], 7)
        self.assertEqual(rows["old"]["itl"], {"count": 0})
        self.assertIn("the engine does not tell how many each holds", json.dumps(self.load("x.json")["unavailable"]))
        for name in ("plain", "kept-back", "closes-in-prefill", "closes-in-mid-stream"):
            self.assertTrue(0 <= spans[name]["begun_after_ns"] <= spans[name]["end_ns"] - spans[name]["begin_ns"], name)
        self.assertEqual((spans["closes-in-prefill"]["prompt_tokens"], spans["closes-in-prefill"]["cached_tokens"],
                          spans["closes-in-prefill"]["prompt_tokens_so_far"]), (20, 15, 18))
        self.assertEqual(spans["closes-in-mid-stream"]["output_tokens_so_far"], 4)
        self.assertNotIn("output_tokens", spans["closes-in-mid-stream"])


if __name__ == "__main__":
    harness.main()
