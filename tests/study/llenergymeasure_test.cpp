#include "study/llenergymeasure.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace prony::study {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TakenOver taken(std::string_view text) {
  const auto value = read_yaml(text, "c.yaml");
  EXPECT_TRUE(value);
  auto out = from_llenergymeasure(*value, "c.yaml");
  EXPECT_TRUE(out) << (out ? "" : out.error().what);
  return out ? *out : TakenOver{};
}

void leaves(const Value& value, const std::string& prefix, std::vector<std::string>& out) {
  for (const Entry& entry : value.table)
    if (entry.value.is(Value::Kind::table))
      leaves(entry.value, prefix + entry.key + ".", out);
    else
      out.push_back(prefix + entry.key);
}

// The thesis's base configuration, with the keys of its program.
constexpr std::string_view thesis = R"({
  "config_name": "batching_16", "suite": "controlled", "controlled_variation": {}, "scenario_info": {"name": "A1"},
  "cycle_id": 1, "model_name": "TinyLlama/TinyLlama-1.1B-Chat-v1.0", "is_encoder_decoder": false,
  "task_type": "text_generation", "inference_type": "pure_generative", "backend": "pytorch", "gpu_list": [0, 1, 2, 3],
  "num_processes": 4, "max_input_tokens": 128, "max_output_tokens": 128, "min_output_tokens": 128,
  "num_input_prompts": 128, "save_outputs": true, "decode_token_to_text": true,
  "batching_options": {"batch_size___fixed_batching": 16, "adaptive_batching": false, "adaptive_max_tokens": 0},
  "sharding_config": {"fsdp_config": {"use_orig_params": false, "cpu_offload": false}, "sharding_strategy": "NO_SHARD"},
  "query_rate": 1.0, "latency_simulation": {"simulate": false, "delay_min": 0, "delay_max": 0, "simulate_burst": false},
  "decoder_config": {"decoding_mode": null, "decoder_temperature": 1.0, "decoder_top_k": 50, "decoder_top_p": null},
  "fp_precision": "torch.float16",
  "quantization_config": {"quantization": null, "load_in_8bit": false, "load_in_4bit": true,
                          "cached_flops_for_quantised_models": 52638582308864}})";

// Kills: a key that is dropped without a word, whatever its generation.
TEST(LlenergymeasureConfig, EveryKeyOfAConfigurationIsTakenOverOrNamed) {
  for (const std::string_view text :
       {thesis,
        std::string_view("model_name: m\nfp_precision: float16\nstreaming: true\nnum_cycles: 3\nadapter: x\n"
                         "schedule: {at: '22:00', days: [mon, sat], interval: 6h}\n"
                         "traffic_simulation: {enabled: true, mode: poisson, target_qps: 2.0, seed: 1}\nmistyped: 1\n"),
        std::string_view("task: {model: gpt2, dataset: {source: aienergyscore, n_prompts: 50, order: grouped}}\n"
                         "engine: transformers\ntransformers: {batch_size: 4, dtype: float8, device_map: auto}\n"
                         "lora: {path: x}\nmeasurement: {warmup: {n_warmup: 5}, baseline: {enabled: true}}\n")}) {
    const TakenOver out = taken(text);
    std::vector<std::string> keys;
    leaves(*read_yaml(text, "c.yaml"), "", keys);
    for (const std::string& key : keys) {
      const bool kept = std::ranges::find(out.kept, key) != out.kept.end();
      EXPECT_TRUE(kept ||
                  std::ranges::any_of(out.named, [&](const std::string& line) { return line.starts_with(key + " "); }))
          << key;
    }
  }
}

TEST(LlenergymeasureConfig, TheThesissBaseKeepsWhatItsProgramDidAndNamesWhatItNeverUsed) {
  const TakenOver out = taken(thesis);
  EXPECT_EQ(out.generation, "thesis");
  for (const char* line : {"name = \"batching_16\"", "batching = \"static:16\"", "ranks = 4", "max-tokens = 128",
                           "min-tokens = 128", "requests = 128", "dtype = \"float16\"", "quantisation = \"4bit\"",
                           "temperature = 1", "top-k = 50", "engine = \"transformers\""})
    EXPECT_THAT(out.toml, HasSubstr("\n" + std::string(line) + "\n"));
  EXPECT_THAT(out.toml, Not(HasSubstr("top-p")));  // null: its program's own
  EXPECT_THAT(out.named, Contains("query_rate (line 9): its own program reads it and never uses it"));
  EXPECT_THAT(out.named, Contains(StartsWith("sharding_config.sharding_strategy (line 8): its own program")));
}

TEST(LlenergymeasureConfig, ItsStudyBecomesAxesGroupsAndSingleRuns) {
  const TakenOver out = taken(R"(
study_name: precision
task: {model: ./llama, max_output_tokens: 64, random_seed: 42}
engine: transformers
sweep:
  transformers.batch_size: [1, 8]
  transformers.dtype: [float16, float8, bfloat16]
  quant:
    - {}
    - {transformers.bnb_4bit_quant_type: nf4, transformers.load_in_4bit: true}
    - {transformers.load_in_8bit: true, transformers.batch_size: [2, 4]}
experiments:
  - transformers: {sampling: {do_sample: false}}
study_execution: {n_cycles: 3, experiment_order: latin_square, experiment_gap_seconds: 60, wall_clock_timeout_hours: 8,
                  circuit_breaker_cooldown_seconds: 60}
)");
  EXPECT_THAT(out.toml, HasSubstr("[study]\nname = \"precision\"\ncycles = 3\norder = \"counterbalanced\"\n"
                                  "experiment-gap = \"60s\"\nwall-limit = \"8h\"\n"));
  EXPECT_THAT(out.toml, HasSubstr("\nbatching = [\"static:1\", \"static:8\"]"));
  EXPECT_THAT(out.toml, HasSubstr("\ndtype = [\"float16\", \"bfloat16\"]"));
  EXPECT_THAT(out.toml, HasSubstr("\"quant\" = [\n  {},\n  { quantisation = \"nf4\" },\n  { "
                                  "quantisation = \"8bit\", batching = [\"static:2\", "
                                  "\"static:4\"] },\n]"));
  EXPECT_THAT(out.toml, HasSubstr("[[experiments]]\ntemperature = 0\n"));
  EXPECT_THAT(out.named,
              Contains("sweep.transformers.dtype (line 7): 'float8' has no counterpart in  transformers.dtype"));
  EXPECT_THAT(out.named, Contains(StartsWith("study_execution.circuit_breaker_cooldown_seconds (line ")));
}

TEST(LlenergymeasureConfig, WhereEnginesAreComparedKeysSayWhoseTheyAre) {
  const TakenOver out = taken(
      "task: {model: m}\nsweep:\n  engine: [transformers, vllm]\n  transformers.batch_size: [1, 8]\n"
      "  vllm.sampling.top_k: [10]\n  vllm.engine.block_size: [16]\n");
  EXPECT_THAT(out.toml, HasSubstr("engine = [\"transformers\", \"openai\"]\ntransformers.batching = [\"static:1\", "
                                  "\"static:8\"]\nopenai.top-k = [10]\n"));
  EXPECT_THAT(out.named, Contains(StartsWith("sweep.vllm.engine.block_size (line 6): of a server's own command line")));
}

TEST(LlenergymeasureConfig, WhatIsNoConfigurationOfItsIsRefused) {
  for (const char* text : {"", "a: 1", "[1, 2]", "study: {name: x}"}) {
    const auto value = read_yaml(text, "c.yaml");
    ASSERT_TRUE(value);
    EXPECT_FALSE(from_llenergymeasure(*value, "c.yaml")) << text;
  }
}

}  // namespace
}  // namespace prony::study
