// vLLM's `bench serve --save-result --save-detailed`: arrays by request, in s.
#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "exchange/parsing.hpp"

namespace prony::exchange {

namespace {

const Found& array_at(const Found& object, const char* name) {
  static const Found none = Found::array();
  const auto found = object.find(name);
  return found != object.end() && found->is_array() ? *found : none;
}

std::optional<double> seconds_in(const Found& array, std::size_t i) {
  if (i >= array.size() || !array[i].is_number()) return std::nullopt;
  const double value = array[i].get<double>();
  return value >= 0 && value <= longest_s ? std::optional(value) : std::nullopt;
}

std::optional<std::int64_t> count_in(const Found& array, std::size_t i) {
  const auto value = i < array.size() && array[i].is_number_integer() ? seconds_in(array, i) : std::nullopt;
  return value ? std::optional(static_cast<std::int64_t>(*value)) : std::nullopt;
}

constexpr const char* by_request[] = {"ttfts",     "output_lens", "input_lens", "itls",
                                      "latencies", "errors",      "start_times"};

// What is told of every request or of none. An array that is shorter than another has lost an entry, and nothing tells
// whose: without first tokens or lengths nothing is left of the requests, the rest can be done without.
Result<std::size_t> count_requests(Found& file, std::vector<std::string>& notes) {
  std::size_t count = 0;
  const char* longest = by_request[0];
  for (const char* name : by_request)
    if (array_at(file, name).size() > count) {
      count = array_at(file, name).size();
      longest = name;
    }
  for (const char* name : by_request) {
    const std::size_t size = array_at(file, name).size();
    if (size == count) continue;
    const bool needed = std::string_view(name) == "ttfts" || std::string_view(name) == "output_lens";
    if (size == 0 && !needed) continue;
    const std::string words = std::to_string(size) + " entries, and " + longest + " has " + std::to_string(count);
    if (needed)
      return fail(ErrorCode::malformed, "it has " + words, name,
                  "Each array has an entry a request: which of them lost one, and whose, nobody can tell.");
    notes.push_back(std::string(name) + " has " + words + ": whose they are cannot be told, none is taken");
    file.erase(name);
  }
  return count;
}

// What the file counted itself, against what its arrays hold.
void hold_against(const Found& file, const std::vector<ReadRequest>& all, std::vector<std::string>& notes) {
  std::int64_t answered = 0, tokens = 0;
  for (const ReadRequest& one : all)
    if (one.error.empty()) {
      ++answered;
      tokens += std::min(one.output_tokens.value_or(0), std::int64_t{1} << 40);
    }
  const auto compare = [&](const char* name, std::int64_t found, const char* what) {
    if (const auto told = whole_at(file, name); told && *told != found)
      notes.push_back(std::string(name) + " is " + std::to_string(*told) + " in the file, and its arrays hold " +
                      std::to_string(found) + " " + what);
  };
  compare("completed", answered, "answered requests");
  compare("total_output_tokens", tokens, "tokens of answered requests");
}

// It has no latencies of its own before 2025: TTFT and the gaps add up to them.
ReadRequest vllm_request(const Found& file, std::size_t i) {
  ReadRequest out;
  out.name = "request " + std::to_string(i + 1);
  out.prompt_tokens = count_in(array_at(file, "input_lens"), i);
  out.output_tokens = count_in(array_at(file, "output_lens"), i);
  out.ttft_s = seconds_in(array_at(file, "ttfts"), i);
  out.e2e_s = seconds_in(array_at(file, "latencies"), i);
  const Found &gaps = array_at(file, "itls"), &errors = array_at(file, "errors");
  double sum = out.ttft_s.value_or(0);
  if (i < gaps.size() && gaps[i].is_array())
    for (std::size_t k = 0; k < gaps[i].size(); ++k)
      if (const auto gap = seconds_in(gaps[i], k)) {
        out.gaps_s.push_back(*gap);
        sum += *gap;
      }
  if (!out.e2e_s && out.ttft_s) out.e2e_s = std::min(sum, longest_s);
  if (i < errors.size() && errors[i].is_string()) out.error = errors[i].get<std::string>();
  if (out.error.empty() && (!out.ttft_s || !out.output_tokens || *out.output_tokens == 0))
    out.error = "no answer in the file";
  return out;
}

}  // namespace

Result<Imported> read_vllm(std::string_view bytes, const ReadOptions&) {
  auto file = json_document(bytes);
  if (!file) return Unexpected<Error>(file.error());
  if (!file->is_object() || std::ranges::all_of(by_request, [&](auto* name) { return array_at(*file, name).empty(); }))
    return fail(ErrorCode::malformed, "no arrays by request are in the file", {},
                "`vllm bench serve --save-result --save-detailed` writes them; statistics alone are no Run.");
  Imported out;
  const auto counted = count_requests(*file, out.notes);
  if (!counted) return Unexpected<Error>(counted.error());
  const std::size_t count = *counted;
  const Found& starts = array_at(*file, "start_times");
  const bool has_starts = starts.size() == count;
  if (!has_starts)
    out.notes.emplace_back(
        "when requests began is not known: they are laid one after the other, and rates of the whole say nothing");
  std::vector<ReadRequest> all;
  double end_s = 0, first = 0;
  for (std::size_t i = 0; has_starts && i < count; ++i) {
    const auto start = starts[i].is_number() ? std::optional(starts[i].get<double>()) : std::nullopt;
    if (!start || !(std::abs(*start) < 1e12))
      return fail(ErrorCode::malformed, "a start time is no time", "start_times");
    first = i == 0 ? *start : std::min(first, *start);
  }
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(vllm_request(*file, i));
    all.back().begin_s = has_starts ? starts[i].get<double>() - first : end_s;
    end_s = std::max(end_s, all.back().begin_s + all.back().e2e_s.value_or(0));
    if (end_s > 2 * longest_s)
      return fail(ErrorCode::malformed, "requests of one file are more than ten years apart", {});
  }
  hold_against(*file, all, out.notes);
  add_fact(out, "model.name", text_at(*file, "model_id"));
  add_fact(out, "engine.name", text_at(*file, "backend"));
  add_fact(out, "import.date", text_at(*file, "date"));
  add_spans(out, all, end_s);
  return out;
}

}  // namespace prony::exchange
