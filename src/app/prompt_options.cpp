#include "app/prompt_options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <iostream>
#include <iterator>

#include "app/common.hpp"
#include "base/text.hpp"
#include "workloads/synthetic_prompts.hpp"

namespace prony::app {

namespace {

struct PromptOptionRow {
  const char *name, *type, *help;
};
constexpr std::array<PromptOptionRow, 16> prompt_option_rows{{
    {"prompts-format", "NAME", "jsonl, text, csv, sharegpt, messages, ifeval, aienergyscore (default: by the content)"},
    {"synthetic", "SPEC", "Made prompts: \"100 in:normal(550,150) out:128\", \"pairs:128:64@3,512:256@1\""},
    {"shared-prefix", "TOKENS[:GROUPS]", "Text before each prompt that all of a group have in common"},
    {"order", "NAME", "as-is (default), sorted, sorted-down, grouped, shuffled (by --seed)"},
    {"prompt-tokens", "A..B", "Only prompts of so many tokens (A.. or ..B)"},
    {"turns", "N|all", "Turns of a conversation that are asked (default 1)"},
    {"turn-think", "DURATION", "Between the turns of a conversation (default: --gap)"},
    {"min-tokens", "N", "Least output tokens of a request, where the engine knows it"},
    {"truncate-prompt", "N", "A longer prompt is cut to its last N tokens, where the engine knows it"},
    {"cancel-rate", "SHARE", "So many requests are called off by their client (0.1: one in ten)"},
    {"cancel-after", "DURATION", "… so long after they were sent (default 1s)"},
    {"model-gap", "DURATION", "Rest before each further --model (default 0ms)"},
    {"batching", "KIND:N", "llama: static:8, dynamic:2048 (tokens), sorted:8, continuous:8"},
    {"sampling", "MODE", "continuous (default), while-requests, after-each"},
    {"intrusion-test", "", "Ask the set with the sampler on, off, off, on: what measuring costs"},
    {"model", "MODEL", "May be repeated: one Run with a section for each model"},
}};

const char* help_of(const char* name) {
  for (const PromptOptionRow& row : prompt_option_rows)
    if (std::string_view(row.name) == name) return row.help;
  return "";
}

Result<std::int64_t> duration_ns(const std::string& text, const char* option, std::int64_t least_ms) {
  const auto length = duration_setting(text, option, milliseconds(least_ms), milliseconds(86'400'000));
  if (!length) return Unexpected<Error>(length.error());
  return length->ns;
}

Result<PromptSet> read_prompts(const PromptOptions& options, std::uint64_t seed) {
  PromptReading reading;
  if (!options.format.empty()) {
    const auto format = prompt_format_from(options.format);
    if (!format) return Unexpected<Error>(format.error());
    reading.format = *format;
  }
  const auto turns = options.turns == "all" ? std::optional<std::uint64_t>(0) : parse_u64(options.turns);
  if (!turns || (*turns == 0 && options.turns != "all") || *turns > 10'000)
    return fail(ErrorCode::usage, "'" + printable(options.turns, 40) + "' is no number of turns", "--turns",
                "Write a number from 1, or: all");
  reading.turns = static_cast<std::size_t>(*turns);
  if (!options.synthetic.empty() && !options.source.empty())
    return fail(ErrorCode::usage, "prompts are either read or made", "--prompts, --synthetic",
                "Leave one of them out.");
  std::optional<SharedPrefix> prefix;
  if (!options.shared_prefix.empty()) {
    auto given = shared_prefix_from(options.shared_prefix);
    if (!given) return Unexpected<Error>(given.error());
    prefix = *given;
  }
  if (!options.synthetic.empty()) {
    const auto spec = synthetic_spec_from(options.synthetic);
    if (!spec) return Unexpected<Error>(spec.error());
    return synthetic_prompts(*spec, prefix, seed);
  }
  Result<PromptSet> set = built_in_prompts();
  if (options.source == "-") {
    const std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
    set = parse_prompts(text, "-", reading);
  } else if (!options.source.empty()) {
    set = load_prompts(options.source, reading);
  }
  if (set && prefix) add_shared_prefix(*set, *prefix, seed);
  return set;
}

Result<void> take_cancels(const PromptOptions& options, WorkerOptions& worker) {
  worker.cancel_rate = options.cancel_rate;
  auto after = duration_ns(options.cancel_after, "cancel-after", 0);
  if (!after) return Unexpected<Error>(after.error());
  worker.cancel_after_ns = *after;
  return {};
}

}  // namespace

void add_prompt_options(CLI::App& command, PromptOptions& options, Settings& settings) {
  const auto rare = [&](const char* name, CLI::Option* option, const char* otherwise) {
    option->group("");
    settings.watch(name, option, otherwise);
    return option;
  };
  const auto add = [&](const char* name, auto& field, const char* otherwise) {
    return rare(name, command.add_option("--" + std::string(name), field, help_of(name)), otherwise);
  };
  add("prompts-format", options.format, "");
  add("synthetic", options.synthetic, "");
  add("shared-prefix", options.shared_prefix, "");
  add("order", options.order, "as-is");
  add("prompt-tokens", options.prompt_tokens, "");
  add("turns", options.turns, "1");
  add("turn-think", options.turn_think, "0ms");
  add("min-tokens", options.min_tokens, "")->check(CLI::Range(1, 1'000'000));
  add("truncate-prompt", options.truncate, "")->check(CLI::Range(2, 10'000'000));
  add("cancel-rate", options.cancel_rate, "0")->check(CLI::Range(0.0, 1.0));
  add("cancel-after", options.cancel_after, "1s");
  add("model-gap", options.model_gap, "0ms");
  add("batching", options.batching, "");
  add("sampling", options.sampling, "continuous");
  rare("intrusion-test", command.add_flag("--intrusion-test", options.intrusion_test, help_of("intrusion-test")),
       "false");
}

std::vector<std::string> prompt_config_keys() {
  std::vector<std::string> keys;
  for (const PromptOptionRow& row : prompt_option_rows) keys.emplace_back(row.name);
  return keys;
}

std::string prompts_help_text() {
  std::string text =
      "What `prony llm` asks, and how\n\n  prony llm --model m.gguf --prompts ShareGPT.json --turns 3 --order "
      "shuffled\n"
      "  prony llm --model m.gguf --synthetic \"50 in:normal(550,150) out:128\" --ignore-eos\n\n"
      "--prompts FILE also takes a folder (a file a prompt) and - for standard input.\n\n";
  for (const PromptOptionRow& row : prompt_option_rows) {
    std::string left = "  --" + std::string(row.name) + " " + row.type;
    left.resize(std::max<std::size_t>(left.size() + 1, 33), ' ');
    text += left + row.help + "\n";
  }
  return text +
         "\nLengths are the engine's own counts: a calibration of two requests learns how many tokens its tokeniser\n"
         "makes of a word. What was asked and what came stand side by side, with a WARNING where they differ.\n"
         "Distributions: N, uniform(a,b), normal(mean,sd[,least,most]), lognormal(mean,sd[,least,most]).\n"
         "All of it: docs/prompts.md\n";
}

Result<void> batching_goes_with(const std::string& batching, std::string_view engine, bool server) {
  if (batching.empty() || engine.empty()) return {};
  if (server)
    return fail(ErrorCode::usage, "this engine cannot be told how to put prompts together", "--batching",
                "A server makes its own batches: give it several requests at once.");
  // As the workers take them.
  const bool llama = engine == "llama";
  const std::uint64_t most_prompts = llama ? 256 : 999'999'999, most_tokens = llama ? 1 << 24 : 999'999'999;
  const std::string_view text = batching;
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string_view kind = text.substr(0, colon);
  const std::uint64_t size = parse_u64(text.substr(std::min(colon + 1, text.size()))).value_or(0);
  const bool prompts = kind == "static" || kind == "sorted" || (kind == "continuous" && llama);
  if (size >= 1 && ((prompts && size <= most_prompts) || (kind == "dynamic" && size <= most_tokens))) return {};
  return fail(ErrorCode::usage, "'" + printable(batching, 40) + "' is no way to put prompts together", "--batching",
              llama ? "static:N, sorted:N or continuous:N (N prompts, to 256) or dynamic:TOKENS"
                    : "This engine makes batches of a fixed shape: static:N, sorted:N or dynamic:TOKENS");
}

Result<void> goes_with_load(const PromptOptions& options, const WorkerOptions& worker) {
  if (!worker.load) return {};
  const auto refuse = [](const char* why, const char* option) {
    return fail(ErrorCode::usage, why, option, "Leave it out, or what makes the load (--streams, --rate, …).");
  };
  if (!worker.batching.empty())
    return refuse("it hands the engine many prompts in one message, and a load sends each when it is due",
                  "--batching");
  if (options.intrusion_test)
    return refuse(
        "it asks each prompt with the sampler on and off; under a load a request's time depends on the others",
        "--intrusion-test");
  if (options.sampling != "continuous")
    return refuse("under a load there is no time between requests: some are always under way", "--sampling");
  return {};
}

Result<SamplingMode> sampling_mode(const PromptOptions& options) {
  auto mode = sampling_mode_from(options.sampling);
  if (!mode || !options.intrusion_test) return mode;
  if (*mode != SamplingMode::continuous)
    return fail(ErrorCode::usage, "the test switches the sampler itself", "--intrusion-test", "Leave --sampling out.");
  return SamplingMode::intrusion_test;
}

Result<std::vector<std::string>> take_prompts(const PromptOptions& options, WorkerOptions& worker) {
  auto set = read_prompts(options, worker.seed);
  if (!set) return Unexpected<Error>(set.error());
  const auto order = prompt_order_from(options.order);
  if (!order) return Unexpected<Error>(order.error());
  worker.order = *order;
  worker.order_seed = worker.seed;
  if (!options.prompt_tokens.empty()) {
    const auto range = token_range_from(options.prompt_tokens);
    if (!range) return Unexpected<Error>(range.error());
    worker.prompt_tokens = *range;
  }
  const auto think = duration_ns(options.turn_think, "turn-think", 0);
  if (!think) return Unexpected<Error>(think.error());
  worker.turn_think_ns = *think;
  const auto gap = duration_ns(options.model_gap, "model-gap", 0);
  if (!gap) return Unexpected<Error>(gap.error());
  worker.model_gap_ns = *gap;
  if (auto taken = take_cancels(options, worker); !taken) return Unexpected<Error>(taken.error());
  if (options.min_tokens > 0) worker.min_tokens = options.min_tokens;
  if (options.min_tokens > worker.max_tokens)
    return fail(ErrorCode::usage, "more output tokens at least than at most", "--min-tokens, --max-tokens",
                "Make --max-tokens as large.");
  if (options.truncate > 0) worker.truncate_tokens = options.truncate;
  worker.batching = options.batching;
  const bool sessions = std::ranges::any_of(set->prompts, [](const Prompt& p) { return !p.session.empty(); });
  if (!worker.batching.empty() && sessions)
    return fail(ErrorCode::usage, "turns of a conversation wait for one another and cannot go together", "--batching",
                "Leave it out, or --turns.");
  if (options.intrusion_test) {
    if (!options.models.empty() && options.models.size() > 1)
      return fail(ErrorCode::usage, "one model at a time", "--intrusion-test", "Name one --model.");
    worker.repeat *= 4;  // on, off, off, on: once, or as often as --repeat says
  }
  worker.prompts = std::move(set->prompts);
  return std::move(set->notes);
}

}  // namespace prony::app
