#include "reports/prompt_checks.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>

#include "base/text.hpp"
#include "model/metrics.hpp"
#include "reports/figures.hpp"
#include "reports/json_put.hpp"
#include "reports/load_figures.hpp"
#include "reports/text_layout.hpp"

namespace prony {

namespace {

std::string counted(std::size_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

struct Lengths {
  std::size_t asked = 0, kept = 0;
  std::int64_t asked_tokens = 0, got_tokens = 0;
  double worst = 0;  // of the relative differences
  std::string worst_name;
};

Lengths lengths_of(const Summary& summary, std::optional<std::int64_t> RequestCheck::* asked,
                   std::optional<std::int64_t> RequestRow::* got, std::optional<bool> RequestCheck::* kept) {
  Lengths sum;
  for (const RequestRow& row : summary.requests) {
    const RequestCheck check = check_request(row);
    if (!(check.*asked) || !(check.*kept)) continue;
    ++sum.asked;
    sum.kept += *(check.*kept) ? 1 : 0;
    sum.asked_tokens += *(check.*asked);
    sum.got_tokens += *(row.*got);
    const double off = std::abs(static_cast<double>(*(row.*got) - *(check.*asked))) /
                       static_cast<double>(std::max<std::int64_t>(1, *(check.*asked)));
    if (off <= sum.worst && !sum.worst_name.empty()) continue;
    sum.worst = off;
    sum.worst_name = row.span.name;
  }
  return sum;
}

Lengths prompt_lengths(const Summary& summary) {
  return lengths_of(summary, &RequestCheck::asked_prompt_tokens, &RequestRow::prompt_tokens,
                    &RequestCheck::prompt_kept);
}
Lengths output_lengths(const Summary& summary) {
  return lengths_of(summary, &RequestCheck::asked_output_tokens, &RequestRow::output_tokens,
                    &RequestCheck::output_kept);
}

}  // namespace

bool ran_at_once(const Summary& summary) {
  std::vector<Interval> windows;
  for (const RequestRow& row : summary.requests)
    if (row.span.interval.begin < row.span.interval.end) windows.push_back(row.span.interval);
  std::ranges::sort(windows, {}, &Interval::begin);
  Instant last{INT64_MIN};
  return std::ranges::any_of(windows, [&](const Interval& window) {
    const bool within = window.begin < last;
    last = std::max(last, window.end);
    return within;
  });
}

RequestCheck check_request(const RequestRow& row) {
  const Span& span = row.span;
  RequestCheck check;
  check.asked_prompt_tokens = span.count("asked_prompt_tokens");
  check.asked_output_tokens = span.count("asked_output_tokens");
  check.asked_min_output_tokens = span.count("asked_min_output_tokens");
  check.cancelled = span.count("cancelled").value_or(0) > 0 || end_of(row) == RequestEnd::cancelled;
  const bool complete = end_of(row) == RequestEnd::ok && !check.cancelled;
  if (complete && row.prompt_tokens && check.asked_prompt_tokens) {
    const auto asked = static_cast<double>(*check.asked_prompt_tokens);
    check.prompt_kept =
        std::abs(static_cast<double>(*row.prompt_tokens) - asked) <= std::max(4.0, std::ceil(0.05 * asked));
  }
  if (complete && row.output_tokens && check.asked_output_tokens)
    check.output_kept = *row.output_tokens == *check.asked_output_tokens;
  else if (complete && row.output_tokens && check.asked_min_output_tokens)
    check.output_kept = *row.output_tokens >= *check.asked_min_output_tokens;
  const auto share = [](std::optional<std::int64_t> part, std::optional<std::int64_t> all) -> std::optional<double> {
    if (!part || !all || *all <= 0 || *part <= 0) return std::nullopt;
    return std::min(1.0, static_cast<double>(*part) / static_cast<double>(*all));
  };
  check.loop_share = share(span.count("loop_tokens"), row.output_tokens);
  if (!check.loop_share) check.loop_share = share(span.count("loop_bytes"), span.count("answer_bytes"));
  return check;
}

std::string context_warning(const Summary& summary) {
  const auto context = parse_u64(summary.fact("engine.ctx")), trained = parse_u64(summary.fact("model.ctx_trained"));
  if (!context || !trained || *trained == 0 || *context <= *trained) return {};
  return "a context of " + figures::count(static_cast<double>(*context)) + " tokens, and the model was trained for " +
         figures::count(static_cast<double>(*trained)) +
         ": answers beyond that mean little, and memory is held for all of it";
}

std::vector<std::string> length_warnings(const Summary& summary) {
  std::vector<std::string> out;
  std::size_t outputs = 0, prompts = 0, checked = 0;
  std::string example;
  for (const RequestRow& row : summary.requests) {
    const RequestCheck check = check_request(row);
    checked += check.output_kept || check.prompt_kept ? 1 : 0;
    prompts += check.prompt_kept == false ? 1 : 0;
    if (check.output_kept != false) continue;
    if (++outputs == 1)
      example = printable(row.span.name, 40) + ": asked " + (check.asked_output_tokens ? "" : "at least ") +
                std::to_string(check.asked_output_tokens.value_or(check.asked_min_output_tokens.value_or(0))) +
                ", got " + std::to_string(*row.output_tokens);
  }
  if (outputs > 0)
    out.push_back("the engine did not keep to the length of answers that was asked for in " +
                  counted(outputs, "request") + " of " + std::to_string(checked) + " (" + example +
                  "): compare joules per token, not per request");
  if (prompts > 0) {
    const Lengths lengths = prompt_lengths(summary);
    out.push_back(counted(prompts, "prompt") + " of " + std::to_string(lengths.asked) +
                  " came out more than 5 % off the length asked for (" + printable(lengths.worst_name, 40) + ": " +
                  figures::percent(lengths.worst) + "): the engine's tokeniser cuts these words unevenly");
  }
  return out;
}

std::vector<std::string> length_items(const Summary& summary) {
  std::vector<std::string> items;
  const auto tell = [&](const char* what, const Lengths& lengths) {
    if (lengths.asked == 0) return;
    items.push_back(std::string(what) + ": asked " + figures::count(static_cast<double>(lengths.asked_tokens)) +
                    " tokens, got " + figures::count(static_cast<double>(lengths.got_tokens)) + " (" +
                    std::to_string(lengths.kept) + " of " + std::to_string(lengths.asked) + " as asked, at worst " +
                    figures::percent(lengths.worst) + " off)");
  };
  tell("prompts", prompt_lengths(summary));
  tell("answers", output_lengths(summary));
  std::int64_t cut = 0;
  std::size_t shortened = 0;
  for (const RequestRow& row : summary.requests)
    if (const auto tokens = row.span.count("truncated_tokens")) {
      cut += *tokens;
      ++shortened;
    }
  if (shortened > 0)
    items.push_back(counted(shortened, "prompt") + " shortened by " + figures::count(static_cast<double>(cut)) +
                    " tokens in all, as asked");
  return items;
}

std::vector<std::string> loop_items(const Summary& summary) {
  std::size_t loops = 0;
  double worst = 0;
  std::string name;
  for (const RequestRow& row : summary.requests) {
    const auto share = check_request(row).loop_share;
    if (!share) continue;
    ++loops;
    if (*share <= worst) continue;
    worst = *share;
    name = row.span.name;
  }
  if (loops == 0) return {};
  return {counted(loops, "answer") + " of " + std::to_string(summary.requests.size()) +
              (loops == 1 ? " ends" : " end") + " in a loop",
          "at worst " + figures::percent(worst) + " of the answer (" + printable(name, 40) + ")"};
}

std::vector<std::string> cancel_items(const Summary& summary) {
  std::size_t cancelled = 0, told = 0, asked_for = 0;
  std::int64_t tokens = 0;
  std::optional<Estimate> joules;
  bool charged = false;  // then the line "wasted" has their joules
  for (const RequestRow& row : summary.requests) {
    if (!check_request(row).cancelled) continue;
    charged = charged || row.headline.charged;
    ++cancelled;
    asked_for += row.span.count("cancelled") ? 1 : 0;  // by --cancel-rate; else the load was ended before it was
    if (const auto made = row.output_tokens ? row.output_tokens : row.span.count("output_tokens_so_far")) {
      ++told;
      tokens += *made;
    }
    if (row.headline.resolvable && row.headline.gross)
      joules = joules ? *joules + *row.headline.gross : *row.headline.gross;
  }
  if (cancelled == 0) return {};
  std::vector<std::string> items{std::to_string(cancelled) + " of " + counted(summary.requests.size(), "request") +
                                 " called off by the client" + (asked_for == cancelled ? ", as asked" : "") +
                                 ": waste, neither success nor failure"};
  items.push_back(told == 0 ? "the engine did not tell their tokens"
                            : figures::count(static_cast<double>(tokens)) + " output tokens thrown away" +
                                  (told < cancelled ? " in the " + std::to_string(told) + " that tell" : ""));
  if (joules && !charged && !ran_at_once(summary))
    items.push_back(figures::joules(*joules, summary.headline_mark()) + " in their windows");
  return items;
}

std::optional<PiecesRead> pieces_read(const Summary& summary) {
  std::optional<PiecesRead> read;
  for (const RequestRow& row : summary.requests) {
    const auto pieces = row.span.count("chunks");
    if (!pieces || *pieces <= 0 || end_of(row) != RequestEnd::ok) continue;
    if (!read) read.emplace();
    read->pieces += *pieces;
    read->together += row.span.count("chunks_stamped_together").value_or(0);
  }
  return read;
}

std::vector<std::string> pieces_warnings(const Summary& summary) {
  const auto read = pieces_read(summary);
  if (!read || !read->too_late()) return {};
  const double share = static_cast<double>(read->together) / static_cast<double>(read->pieces);
  return {figures::percent(share) +
          " of the answers' pieces were there together with a later one when they were read, and have its time (the "
          "server sent them together, or this client was kept from reading): TTFT may be too long for those, gaps "
          "between tokens too short and decode too fast"};
}

std::vector<std::string> conversation_items(const Summary& summary) {
  std::map<std::string, std::size_t> turns;
  std::int64_t prompt_tokens = 0, cached = 0;
  bool cached_told = false;
  for (const RequestRow& row : summary.requests) {
    const auto session = row.span.attribute("session");
    if (!session) continue;
    ++turns[*session + "#" + std::to_string(row.span.count("repeat").value_or(1)) +
            row.span.attribute("model").value_or("")];
    const auto from_cache = row.span.count("cached_tokens");
    cached_told = cached_told || from_cache;
    cached += from_cache.value_or(0);
    if (from_cache) prompt_tokens += row.prompt_tokens.value_or(0);
  }
  if (turns.empty()) return {};
  std::size_t all = 0;
  for (const auto& [session, count] : turns) all += count;
  std::vector<std::string> items{counted(turns.size(), "conversation") + " of " + counted(all, "turn")};
  items.push_back(cached_told && prompt_tokens > 0
                      ? figures::count(static_cast<double>(cached)) + " of " +
                            figures::count(static_cast<double>(prompt_tokens)) + " prompt tokens came from the cache"
                      : "the engine does not tell what came from its cache");
  return items;
}

void put_request_check(nlohmann::ordered_json& request, const RequestRow& row) {
  const RequestCheck check = check_request(row);
  put(request, "asked_prompt_tokens", check.asked_prompt_tokens);
  put(request, "asked_output_tokens", check.asked_output_tokens);
  put(request, "asked_min_output_tokens", check.asked_min_output_tokens);
  if (check.prompt_kept) request["prompt_length_kept"] = *check.prompt_kept;
  if (check.output_kept) request["output_length_kept"] = *check.output_kept;
  put(request, "loop_share", check.loop_share);
  put(request, "loop_tokens", row.span.count("loop_tokens"));
  put(request, "cached_tokens", row.span.count("cached_tokens"));
  put(request, "truncated_tokens", row.span.count("truncated_tokens"));
  if (check.cancelled) request["cancelled"] = true;
  for (const char* label : {"session", "group", "model", "instructions"})
    put(request, label, row.span.attribute(label).value_or(""));
}

}  // namespace prony
