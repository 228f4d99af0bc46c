#include "compare/guards.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/text.hpp"
#include "model/channel.hpp"

namespace prony::compare {

namespace {

// Of a variant: "measured", "modelled, of the simulated machine laptop"; several where its Runs differ.
std::set<std::string> origins_of(const Variant& variant) {
  std::set<std::string> all;
  for (const RunFigures& run : variant.runs)
    if (run.origin)
      all.insert(std::string(prony::to_string(*run.origin)) +
                 (run.simulated.empty() ? "" : ", of the simulated machine " + run.simulated));
  return all;
}

std::string joined_words(const std::set<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : " and ") + word;
  return all;
}

struct Lengths {
  std::int64_t tokens = 0;
  std::size_t requests = 0, asked = 0, failed = 0;
  std::map<std::string, std::int64_t> by_key;  // of the first Run: what each prompt came to
};

Lengths lengths_of(const Variant& variant) {
  Lengths out;
  for (const RunFigures& run : variant.runs) {
    out.asked += run.asked;
    out.failed += run.failed;
    for (const RequestFigures& request : run.requests) {
      if (!request.output_tokens) continue;
      out.tokens += *request.output_tokens;
      ++out.requests;
      out.by_key.emplace(request.key, *request.output_tokens);
    }
  }
  return out;
}

void guard_lengths(const Lengths& a, const Lengths& b, std::vector<std::string>& out) {
  if (a.requests == 0 || b.requests == 0) return;
  const double first = static_cast<double>(a.tokens) / static_cast<double>(a.requests),
               second = static_cast<double>(b.tokens) / static_cast<double>(b.requests);
  std::size_t same = 0, other = 0;
  for (const auto& [key, tokens] : a.by_key)
    if (const auto found = b.by_key.find(key); found != b.by_key.end()) ++(found->second == tokens ? same : other);
  if (first == second && other == 0) return;
  const double change = second / first - 1;
  out.push_back(
      "answers are of different lengths: " + format_fixed(first, 1) + " output tokens a request before, " +
      format_fixed(second, 1) + " after (" + (change >= 0 ? "+" : "") + format_fixed(change * 100, 1) + " %" +
      (same + other > 0 ? ", " + std::to_string(other) + " of " + std::to_string(same + other) + " prompts" : "") +
      "); figures per request and per Run have that in them, those per token do not");
}

void guard_states(const Variant& variant, std::vector<std::string>& out) {
  for (const RunFigures& run : variant.runs)
    if (run.state != RunState::complete)
      out.push_back(run.path + " is " + std::string(prony::to_string(run.state)) +
                    ": it is compared as far as it goes");
}

// What differs from Run to Run whatever was meant.
bool is_volatile(std::string_view key) {
  constexpr std::string_view prefixes[] = {
      "run.",       "prony.pid", "setting.out", "setting.json", "setting.csv", "setting.force", "setting.quiet",
      "simulated.", "study.",    "engine.pid",  "merge.",       "client.",     "machine.boot",  "machine.uptime",
      "baseline.",  "overhead.", "lane.",       "target.",      "sampler.",    "tag.cycle",     "engine.load_ms"};
  return std::ranges::any_of(prefixes, [&](std::string_view prefix) { return key.starts_with(prefix); });
}

// key → value, of those that all Runs of a variant agree on.
std::map<std::string, std::string> agreed(const Variant& variant, std::set<std::string>& varying) {
  std::map<std::string, std::string> out;
  bool first = true;
  for (const RunFigures& run : variant.runs) {
    std::map<std::string, std::string> facts;
    for (const Fact& fact : run.manifest.facts)
      if (!is_volatile(fact.key)) facts[fact.key] = fact.value;
    if (first) out = facts;
    for (const auto& [key, value] : out)
      if (const auto found = facts.find(key); found == facts.end() || found->second != value) varying.insert(key);
    for (const auto& [key, value] : facts)
      if (!out.contains(key)) varying.insert(key);
    first = false;
  }
  return out;
}

}  // namespace

std::string why_joules_are_not_comparable(const Variant& before, const Variant& after) {
  const auto first = origins_of(before), second = origins_of(after);
  if (first.empty() || second.empty()) return {};
  if (first.size() == 1 && first == second) return {};
  return "joules of different origin are not compared: " + joined_words(first) + " before, " + joined_words(second) +
         " after (--any-origin does)";
}

std::vector<std::string> guards_of(const Variant& before, const Variant& after, const std::string& refused) {
  std::vector<std::string> out;
  if (!refused.empty())
    out.push_back(refused);
  else if (origins_of(before) != origins_of(after) && !origins_of(before).empty() && !origins_of(after).empty())
    out.push_back("joules are of different origin, as was asked for: " + joined_words(origins_of(before)) +
                  " before, " + joined_words(origins_of(after)) + " after");
  else if (const auto origins = origins_of(before); origins.size() == 1 && !origins.begin()->starts_with("measured"))
    out.push_back("joules of both are " + *origins.begin() + ": no interval here has the model's own error in it");
  const auto simulated = [](const Variant& variant) {
    return std::ranges::any_of(variant.runs, [](const RunFigures& run) { return !run.simulated.empty(); });
  };
  if (simulated(before) || simulated(after)) out.push_back("simulated: no joule here is real");
  const Lengths a = lengths_of(before), b = lengths_of(after);
  guard_lengths(a, b, out);
  for (const auto& [name, lengths] : {std::pair("before", &a), std::pair("after", &b)})
    if (lengths->failed > 0)
      out.push_back(std::to_string(lengths->failed) + " of " + std::to_string(lengths->asked) + " requests failed " +
                    name + ": answered ones alone are in times and tokens");
  guard_states(before, out);
  guard_states(after, out);
  if (before.runs.size() == 1 && after.runs.size() == 1)
    out.push_back("one Run on each side: how much Runs differ from each other is not known, and in no interval here");
  return out;
}

std::vector<FactDifference> fact_differences(const Variant& before, const Variant& after) {
  std::set<std::string> varying;
  const auto first = agreed(before, varying), second = agreed(after, varying);
  std::vector<FactDifference> out;
  const auto add = [&](const std::string& key, const std::string& a, const std::string& b) {
    if (a != b && !varying.contains(key)) out.push_back({key, a, b});
  };
  for (const auto& [key, value] : first) {
    const auto other = second.find(key);
    add(key, value, other == second.end() ? "" : other->second);
  }
  for (const auto& [key, value] : second)
    if (!first.contains(key)) add(key, "", value);
  std::ranges::sort(out, {}, &FactDifference::key);
  return out;
}

}  // namespace prony::compare
