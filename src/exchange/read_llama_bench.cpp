// llama-bench's `-o json` and `-o jsonl`: a row a test (prompts of n_prompt tokens, answers of n_gen), a sample a
// repetition. Fields are taken by name; what a newer version adds is left alone. Each sample becomes a request: of a
// prompt test its prefill, of a generation test n_gen tokens without a prompt, so that it has no first token.
#include <cmath>

#include "base/text.hpp"
#include "exchange/parsing.hpp"

namespace prony::exchange {

namespace {

struct BenchTest {
  std::string name;  // "pp512", "tg128", "pp512+tg128 @ d1024"
  std::string model;
  std::int64_t prompt = 0, generated = 0;
  std::vector<double> seconds;
  const Found* row = nullptr;
};

// It writes the list as it goes: of one that was cut off the rows that are whole count.
Result<std::vector<Found>> bench_rows(std::string_view bytes, std::vector<std::string>& notes) {
  const std::string_view text = trim(bytes);
  if (text.empty() || text.front() != '[') return json_lines(bytes, notes);
  Found found = Found::parse(text, nullptr, false);
  if (found.is_discarded()) {
    const std::size_t last = text.rfind("\n  }");
    if (last != std::string_view::npos)
      found = Found::parse(std::string(text.substr(0, last + 4)) + "]", nullptr, false);
    if (found.is_discarded() || !found.is_array())
      return fail(ErrorCode::malformed, "not JSON, or not one row is whole", {}, "llama-bench -o json writes a list.");
    notes.push_back("the list was not written to its end: " + std::to_string(found.size()) + " whole rows are taken");
  }
  return std::vector<Found>(found.begin(), found.end());
}

std::string test_name(const BenchTest& test, std::int64_t depth) {
  std::string name;
  if (test.prompt > 0) name = "pp" + std::to_string(test.prompt);
  if (test.generated > 0) name += (name.empty() ? "tg" : "+tg") + std::to_string(test.generated);
  return depth > 0 ? name + " @ d" + std::to_string(depth) : name;
}

std::vector<double> samples_of(const Found& row, bool& mean_alone) {
  std::vector<double> seconds;
  const auto samples = row.find("samples_ns");
  if (samples != row.end() && samples->is_array())
    for (const Found& sample : *samples)
      if (sample.is_number() && sample.get<double>() > 0 && sample.get<double>() * 1e-9 < longest_s)
        seconds.push_back(sample.get<double>() * 1e-9);
  if (!seconds.empty()) return seconds;
  const auto mean = number_at(row, "avg_ns");
  mean_alone = mean && *mean > 0 && *mean * 1e-9 < longest_s;
  if (mean_alone) seconds.push_back(*mean * 1e-9);
  return seconds;
}

struct BenchFile {
  std::vector<BenchTest> tests;
  std::size_t doubled = 0, empty = 0, means = 0;
};

BenchFile tests_of(const std::vector<Found>& rows) {
  constexpr std::int64_t most_tokens = std::int64_t{1} << 40;
  BenchFile out;
  for (const Found& row : rows) {
    if (!row.is_object()) {
      ++out.empty;
      continue;
    }
    bool there = false;
    for (const BenchTest& before : out.tests) there = there || *before.row == row;
    if (there) {
      ++out.doubled;
      continue;
    }
    BenchTest test;
    test.row = &row;
    test.model = text_at(row, "model_filename");
    test.prompt = whole_at(row, "n_prompt").value_or(0);
    test.generated = whole_at(row, "n_gen").value_or(0);
    bool mean_alone = false;
    test.seconds = samples_of(row, mean_alone);
    const bool counted = test.prompt >= 0 && test.generated >= 0 && test.prompt < most_tokens &&
                         test.generated < most_tokens && test.prompt + test.generated > 0;
    if (!counted || test.seconds.empty()) {
      ++out.empty;
      continue;
    }
    out.means += mean_alone ? 1 : 0;
    test.name = test_name(test, whole_at(row, "n_depth").value_or(0));
    out.tests.push_back(std::move(test));
  }
  return out;
}

std::string list_of(const std::vector<BenchTest>& tests) {
  std::string all;
  for (std::size_t i = 0; i < tests.size() && i < 12; ++i)
    all += (i > 0 ? ", " : "") + std::to_string(i + 1) + " (" + tests[i].name + ")";
  return all + (tests.size() > 12 ? ", …" : "");
}

// By the test's name or the row's number; all, where they are of one model.
Result<std::vector<BenchTest>> chosen_tests(const std::vector<BenchTest>& tests, const std::string& wanted) {
  std::vector<BenchTest> out;
  for (std::size_t i = 0; i < tests.size(); ++i)
    if (wanted.empty() || wanted == tests[i].name || wanted == std::to_string(i + 1)) out.push_back(tests[i]);
  if (out.empty())
    return fail(ErrorCode::usage, "the file has no test '" + printable(wanted, 40) + "'", "--select",
                "It has: " + list_of(tests));
  for (const BenchTest& test : out)
    if (test.model != out.front().model)
      return fail(ErrorCode::usage, "the file is of several models: which row?", "--select",
                  "It has: " + list_of(tests));
  return out;
}

void add_bench_facts(Imported& out, const BenchTest& test) {
  const Found& row = *test.row;
  const auto number = [&](const char* field) {
    const auto value = whole_at(row, field);
    return value ? std::to_string(*value) : std::string();
  };
  add_fact(out, "engine.name", "llama-bench");
  add_fact(out, "engine.version", text_at(row, "build_commit"));
  add_fact(out, "engine.backends", text_at(row, "backends"));
  add_fact(out, "engine.threads", number("n_threads"));
  add_fact(out, "engine.batch", number("n_batch"));
  add_fact(out, "model.path", test.model);
  add_fact(out, "model.description", text_at(row, "model_type"));
  add_fact(out, "model.size_bytes", number("model_size"));
  add_fact(out, "model.parameters", number("model_n_params"));
  add_fact(out, "machine.cpu_model", text_at(row, "cpu_info"));
  add_fact(out, "machine.gpu_model", text_at(row, "gpu_info"));
  add_fact(out, "import.date", text_at(row, "test_time"));
}

void add_bench_notes(Imported& out, const BenchFile& file, const std::vector<BenchTest>& tests) {
  const auto note = [&](std::size_t count, const char* what) {
    if (count > 0) out.notes.push_back(std::to_string(count) + what);
  };
  note(file.doubled, " rows that were there already: left out");
  note(file.empty, " rows without a test or without a time: left out");
  note(file.means, " tests of which only the mean is told: it stands for one repetition");
  out.notes.emplace_back(
      "repetitions are laid one after another: when they ran is not in the file, nor what lay between them");
  bool generated = false, several = false;
  for (const BenchTest& test : tests) {
    generated = generated || test.generated > 0;
    several = several || test.name != tests.front().name;
  }
  if (generated)
    out.notes.emplace_back(
        "a generation test begins from nothing and samples no token: it has no first token, and a request of it is "
        "n_gen tokens in all of its time");
  if (several)
    out.notes.emplace_back(
        "tests of other lengths are together here: rates of the whole mix them (--select takes one)");
}

}  // namespace

Result<Imported> read_llama_bench(std::string_view bytes, const ReadOptions& options) {
  Imported out;
  const auto rows = bench_rows(bytes, out.notes);
  if (!rows) return Unexpected<Error>(rows.error());
  constexpr std::size_t most_rows = 5'000;
  if (rows->size() > most_rows)
    return fail(ErrorCode::full, "more than " + std::to_string(most_rows) + " rows", {}, "Import it in parts.");
  const BenchFile file = tests_of(*rows);
  if (file.tests.empty())
    return fail(ErrorCode::malformed, "no test with n_prompt or n_gen and its samples_ns is in the file", {},
                "llama-bench writes it with  -o json.");
  const auto tests = chosen_tests(file.tests, options.select);
  if (!tests) return Unexpected<Error>(tests.error());
  std::vector<ReadRequest> requests;
  double now = 0;
  for (const BenchTest& test : *tests) {
    std::size_t number = 0;
    for (const double seconds : test.seconds) {
      ReadRequest request;
      request.name = test.name + "#" + std::to_string(++number);
      request.begin_s = now;
      request.e2e_s = seconds;
      if (test.generated == 0) request.ttft_s = seconds;  // all of it is the prompt
      request.decode_alone = test.prompt == 0;
      if (test.prompt > 0) request.prompt_tokens = test.prompt;
      if (test.generated > 0) request.output_tokens = test.generated;
      now += seconds;
      if (!(now < longest_s)) return fail(ErrorCode::malformed, "more than ten years of repetitions", "samples_ns");
      requests.push_back(std::move(request));
    }
  }
  add_bench_facts(out, tests->front());
  add_bench_notes(out, file, *tests);
  add_spans(out, requests, now);
  return out;
}

}  // namespace prony::exchange
