#include "app/load_options.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "app/common.hpp"
#include "base/text.hpp"
#include "model/metrics.hpp"
#include "model/slo.hpp"
#include "reports/scenario.hpp"
#include "workloads/arrivals.hpp"
#include "workloads/conversations.hpp"
#include "workloads/knee.hpp"
#include "workloads/synthetic_text.hpp"
#include "workloads/trace.hpp"

namespace prony::app {

namespace {

constexpr double share_of_a_met_level = 0.99;

struct Numbers {
  std::optional<std::size_t> requests;
  std::optional<std::int64_t> for_ns, think_ns;
  std::optional<double> rate;
  std::size_t cap = most_streams;  // of an open load
  std::optional<Slo> slo;
};

Unexpected<Error> refused(std::string what, const char* option, std::string fix = {}) {
  return fail(ErrorCode::usage, std::move(what), option, std::move(fix));
}

Result<double> rate_from(const std::string& text, const char* option) {
  const auto rate = parse_finite(text);
  if (rate && *rate >= 0.001 && *rate <= most_rate_per_s) return *rate;
  return refused("'" + printable(text, 40) + "' is no rate", option, "requests per second, from 0.001 to 1000000");
}

Result<Numbers> numbers_of(const LoadOptions& o) {
  Numbers n;
  if (o.streams && (*o.streams < 1 || *o.streams > static_cast<std::int64_t>(most_streams)))
    return refused("streams are from 1 to " + std::to_string(most_streams), "--streams");
  if (o.requests && (*o.requests < 1 || *o.requests > static_cast<std::int64_t>(most_requests)))
    return refused("requests are from 1 to " + std::to_string(most_requests), "--requests");
  if (o.requests) n.requests = static_cast<std::size_t>(*o.requests);
  if (o.streams) n.cap = static_cast<std::size_t>(*o.streams);
  if (!o.length.empty()) {
    const auto length = duration_setting(o.length, "for", milliseconds(1), milliseconds(30 * 86'400'000LL));
    if (!length) return Unexpected<Error>(length.error());
    n.for_ns = length->ns;
  }
  if (!o.think.empty()) {
    const auto think = duration_setting(o.think, "think", Duration{0}, milliseconds(86'400'000));
    if (!think) return Unexpected<Error>(think.error());
    n.think_ns = think->ns;
  }
  if (!o.rate.empty()) {
    const auto rate = rate_from(o.rate, "--rate");
    if (!rate) return Unexpected<Error>(rate.error());
    n.rate = *rate;
  }
  if (!o.slo.empty()) {
    const auto slo = parse_slo(o.slo);
    if (!slo) return Unexpected<Error>(slo.error());
    n.slo = *slo;
  }
  return n;
}

// What asks for one rate, or for one system, of all requests.
Result<void> check_asked(const LoadOptions& o, const WorkerOptions& worker) {
  const char* const option = !o.find_knee.empty() ? "--find-knee" : !o.scenario.empty() ? "--scenario" : nullptr;
  if (option == nullptr) return {};
  if (Conversations(worker.prompts).any())
    return refused("a conversation's later turns come when the answers before them have come, at no rate of their own",
                   "--turns", std::string("Not with ") + option + "; --rate and --streams go with it");
  if (!o.scenario.empty() && !worker.more_models.empty())
    return refused("a scenario's rules are for one model", "--model", "Run it once for each");
  return {};
}

// Options that do not go together, told by their names.
Result<void> check_together(const LoadOptions& o) {
  std::vector<std::string> kinds;
  for (const auto& [name, given] :
       std::initializer_list<std::pair<const char*, bool>>{{"--rate", !o.rate.empty()},
                                                           {"--ramp", !o.ramp.empty()},
                                                           {"--bursts", !o.bursts.empty()},
                                                           {"--all-at-once", o.all_at_once},
                                                           {"--trace", !o.trace.empty()},
                                                           {"--sweep", !o.sweep.empty()},
                                                           {"--find-knee", !o.find_knee.empty()}})
    if (given) kinds.emplace_back(name);
  if (kinds.size() > 1) return refused("a load has one kind of arrivals", kinds[1].c_str(), "Not with " + kinds[0]);
  const bool open = !kinds.empty();
  if (open && !o.think.empty() && kinds[0] != "--sweep")
    return refused("streams rest in a closed load only", "--think", "Not with " + kinds[0]);
  if (!o.arrivals.empty() && o.rate.empty() && o.sweep.empty() && o.find_knee.empty() && o.ramp.empty())
    return refused("there is no rate to which it could apply", "--arrivals", "--rate R --arrivals " + o.arrivals);
  if (!o.time_scale.empty() && o.trace.empty()) return refused("there is no trace", "--time-scale", "--trace FILE");
  if (!o.find_knee.empty() && o.slo.empty())
    return refused("what is a rate to meet?", "--find-knee", "Say it:  --slo ttft=500ms,tpot=50ms");
  if (!o.scenario.empty() && open && !(o.scenario == "server" && kinds[0] == "--rate"))
    return refused("a scenario has its own arrivals", "--scenario", "Not with " + kinds[0]);
  return {};
}

Result<LoadLevel> open_level(const Arrivals& arrivals, const Numbers& n, std::size_t otherwise, std::uint64_t seed) {
  LoadLevel level;
  level.name = describe(arrivals);
  level.streams = n.cap;
  const bool said = n.requests || n.for_ns;
  auto times = arrival_times_ns(arrivals, said ? n.requests : std::optional(otherwise), n.for_ns, seed);
  if (!times) return Unexpected<Error>(times.error());
  if (times->empty()) return refused("no request would come in that time", "--for");
  level.times_ns = std::move(*times);
  return level;
}

LoadLevel closed_level(std::size_t streams, const Numbers& n, std::size_t otherwise) {
  LoadLevel level;
  level.streams = streams;
  level.name = std::to_string(streams) + (streams == 1 ? " stream" : " streams");
  level.think_ns = n.think_ns.value_or(0);
  if (level.think_ns > 0)
    level.name += ", think time " + format_number(static_cast<double>(level.think_ns) * 1e-9) + " s";
  level.requests = n.requests;
  level.for_ns = n.for_ns;
  if (!n.requests && !n.for_ns) level.requests = otherwise;
  return level;
}

Result<Arrivals> arrivals_at(double rate, const LoadOptions& o) {
  Arrivals arrivals;
  arrivals.kind = Arrivals::Kind::rate;
  arrivals.rate_per_s = rate;
  if (!o.arrivals.empty())
    if (auto parsed = parse_gaps(o.arrivals, arrivals); !parsed) return Unexpected<Error>(parsed.error());
  return arrivals;
}

// Of the whole set, repeats included: what a load asks if nobody says how much. Without conversations they are the
// same.
struct Counts {
  std::size_t prompts = 0, conversations = 0;
};

// The one level of a load that is no sweep, no search and no scenario.
Result<LoadLevel> one_level(const LoadOptions& o, const Numbers& n, const Counts& counts, std::uint64_t seed) {
  Result<Arrivals> arrivals = Arrivals{};
  if (n.rate)
    arrivals = arrivals_at(*n.rate, o);
  else if (!o.ramp.empty())
    arrivals = parse_ramp(o.ramp);
  else if (!o.bursts.empty())
    arrivals = parse_bursts(o.bursts);
  else if (!o.all_at_once)
    return closed_level(static_cast<std::size_t>(o.streams.value_or(1)), n, counts.prompts);
  if (!arrivals) return Unexpected<Error>(arrivals.error());
  if (!o.ramp.empty() && !o.arrivals.empty())
    if (auto parsed = parse_gaps(o.arrivals, *arrivals); !parsed) return Unexpected<Error>(parsed.error());
  return open_level(*arrivals, n, counts.conversations, seed);
}

Result<LoadLevel> trace_level(const LoadOptions& o, const Numbers& n, WorkerOptions& worker,
                              std::vector<std::string>& notes) {
  const auto scale = o.time_scale.empty() ? std::optional(1.0) : parse_finite(o.time_scale);
  auto trace = load_trace(o.trace, scale.value_or(0));
  if (!trace) return Unexpected<Error>(trace.error());
  notes.insert(notes.end(), trace->notes.begin(), trace->notes.end());
  LoadLevel level;
  level.streams = n.cap;
  level.name = "trace " + o.trace + " (" + trace->form + ")";
  worker.prompts.clear();
  auto entries = std::make_shared<std::vector<TraceEntry>>();
  for (TraceEntry& entry : trace->entries) {
    if ((n.requests && entries->size() >= *n.requests) || (n.for_ns && entry.at_ns >= *n.for_ns)) break;
    level.times_ns.push_back(entry.at_ns);
    Prompt prompt;
    prompt.id = std::to_string(entries->size() + 1);
    if (entry.output_tokens) prompt.max_tokens = static_cast<std::int32_t>(*entry.output_tokens);
    worker.prompts.push_back(std::move(prompt));
    entries->push_back(std::move(entry));
  }
  // Texts are made as they are sent: those of all together would be gigabytes.
  worker.load->text_of = [entries, seed = worker.seed](std::size_t place) {
    const TraceEntry& entry = (*entries)[place];
    if (!entry.text.empty()) return entry.text;
    return synthetic_text(static_cast<std::size_t>(entry.prompt_tokens), seed + place, entry.blocks);
  };
  return level;
}

Result<LoadLevel> scenario_level(const LoadOptions& o, Numbers n, std::uint64_t seed, std::vector<Fact>& facts) {
  const auto scenario = scenario_from(o.scenario);
  if (!scenario)
    return refused("MLPerf has no scenario '" + printable(o.scenario, 40) + "'", "--scenario",
                   "There are: single-stream, multi-stream, server, offline");
  facts.push_back({"load.scenario", o.scenario, "flag"});
  const std::int64_t length_ns = n.for_ns.value_or(static_cast<std::int64_t>(mlperf_least_s * 1e9));
  n.for_ns = length_ns;
  LoadLevel level;
  if (*scenario == Scenario::single_stream) {
    n.requests = n.requests.value_or(metrics::least_count(0.9, 1));
    level = closed_level(1, n, 1);
  } else if (*scenario == Scenario::multi_stream) {
    const std::size_t samples = o.streams ? static_cast<std::size_t>(*o.streams) : mlperf_samples_per_query;
    n.requests = n.requests.value_or(mlperf_multi_queries * samples);
    level = closed_level(samples, n, 1);
    level.in_step = true;
    facts.push_back({"load.samples_per_query", std::to_string(samples), "prony"});
  } else if (*scenario == Scenario::offline) {
    Numbers all = n;
    all.requests = n.requests.value_or(mlperf_offline_samples);
    all.for_ns.reset();  // its length is the server's affair
    return open_level(Arrivals{}, all, 1, seed);
  } else {
    if (!n.rate) return refused("at which rate?", "--scenario", "--scenario server --rate R");
    const auto by_time = static_cast<std::size_t>(std::ceil(static_cast<double>(length_ns) * 1e-9 * *n.rate)) + 1;
    n.requests = std::max(n.requests.value_or(0), by_time);
    n.for_ns.reset();
    const auto arrivals = arrivals_at(*n.rate, o);
    if (!arrivals) return Unexpected<Error>(arrivals.error());
    return open_level(*arrivals, n, 1, seed);
  }
  level.until_both = true;
  return level;
}

Result<std::vector<LoadLevel>> sweep_levels(const LoadOptions& o, const Numbers& n, const Counts& counts,
                                            std::uint64_t seed) {
  const bool rates = o.sweep.starts_with("rate:"), streams = o.sweep.starts_with("streams:");
  const auto unreadable = [&] {
    return refused("'" + printable(o.sweep, 60) + "' is no list of levels", "--sweep",
                   "--sweep rate:1,2,4,8  or  --sweep streams:1,2,4");
  };
  if (!rates && !streams) return unreadable();
  std::vector<LoadLevel> levels;
  for (const std::string_view part : split(std::string_view(o.sweep).substr(rates ? 5 : 8), ',')) {
    if (streams) {
      const auto count = parse_u64(part);
      if (!count || *count < 1 || *count > most_streams) return unreadable();
      levels.push_back(closed_level(static_cast<std::size_t>(*count), n, counts.prompts));
      continue;
    }
    const auto rate = rate_from(std::string(part), "--sweep");
    if (!rate) return Unexpected<Error>(rate.error());
    const auto arrivals = arrivals_at(*rate, o);
    if (!arrivals) return Unexpected<Error>(arrivals.error());
    auto level = open_level(*arrivals, n, counts.conversations, seed + levels.size());
    if (!level) return Unexpected<Error>(level.error());
    levels.push_back(std::move(*level));
  }
  return levels;
}

// How much of a level was within the service level, by its replies. A failed request never is.
double share_within(const LevelSeen& seen, const Slo& slo) {
  std::size_t good = 0, all = 0;
  const auto s = [](const std::optional<std::int64_t>& ns) {
    return ns ? std::optional(static_cast<double>(*ns) * 1e-9) : std::nullopt;
  };
  for (const RequestSeen& request : seen.requests) {
    if (request.end == RequestSeen::End::cancelled) continue;
    ++all;
    if (request.end == RequestSeen::End::failed || !request.ttft_ns) continue;
    const double late_s = static_cast<double>(request.late_ns.value_or(0)) * 1e-9;
    const double ttft_s = *s(request.ttft_ns) + late_s;
    std::optional<double> tpot_s;
    if (request.output_tokens.value_or(0) > 1)  // no time of decoding: all came in one piece
      tpot_s = s(request.decode_ns).value_or(0) / static_cast<double>(*request.output_tokens - 1);
    const double e2e_s = ttft_s + s(request.decode_ns).value_or(0);
    good += within(slo, ttft_s, tpot_s, e2e_s, request.output_tokens) == true ? 1 : 0;
  }
  return all > 0 ? static_cast<double>(good) / static_cast<double>(all) : 0;
}

Result<void> plan_search(const LoadOptions& o, const Numbers& n, std::uint64_t seed, LoadPlan& plan) {
  const auto first = rate_from(o.find_knee, "--find-knee");
  if (!first) return Unexpected<Error>(first.error());
  const auto probe = arrivals_at(*first, o);
  if (!probe) return Unexpected<Error>(probe.error());
  struct Search {
    KneeSearch knee;
    std::size_t trials = 0, fewest = most_requests;
  };
  auto search = std::make_shared<Search>(Search{KneeSearch(*first)});
  plan.several_levels = true;
  plan.stop_oversaturated = true;
  plan.most_streams = n.cap;
  plan.next_level = [search, o, n, seed, first = *first](const LevelSeen* last) -> std::optional<LoadLevel> {
    if (last == nullptr) *search = Search{KneeSearch(first)};  // another model is searched from the beginning
    if (last != nullptr) {
      ++search->trials;
      search->fewest = std::min(search->fewest, last->requests.size());
      search->knee.tell(!last->oversaturated && share_within(*last, *n.slo) >= share_of_a_met_level);
    }
    const auto rate = search->knee.next();
    if (!rate) return std::nullopt;
    Numbers trial = n;
    if (!trial.requests && !trial.for_ns) trial.for_ns = 30'000'000'000;
    const auto arrivals = arrivals_at(*rate, o);
    auto level = arrivals ? open_level(*arrivals, trial, 1, seed + search->trials) : Result<LoadLevel>(LoadLevel{});
    return level && level->open() ? std::optional(std::move(*level)) : std::nullopt;
  };
  plan.conclusion = [search]() -> std::string {
    const auto met = search->knee.met(), missed = search->knee.missed();
    std::string words = "the service level is met at every rate that was tried";
    if (met) words = "the service level is met up to " + format_fixed(*met, 3) + " requests/s";
    if (met && missed) words += ", and no more at " + format_fixed(*missed, 3) + "/s";
    if (!met && missed) words = "the service level is not met even at " + format_fixed(*missed, 3) + " requests/s";
    words += " (" + std::to_string(search->trials) + " trials";
    if (search->fewest < metrics::least_count(0.99, 1))
      words += "; some of " + std::to_string(search->fewest) + " requests: 662 would tell 99 % of them for sure";
    return words + ")";
  };
  return {};
}

// Requests of so many conversations: all their turns, from the first again after the last.
std::size_t requests_in(const Conversations& conversations, std::size_t prompts, std::size_t count) {
  if (conversations.size() == 0) return count;
  std::size_t requests = count / conversations.size() * prompts;
  for (std::size_t i = 0; i < count % conversations.size(); ++i) requests += conversations.turns(i).size();
  return requests;
}

void use_levels(std::vector<LoadLevel> levels, const std::vector<Prompt>& prompts, LoadPlan& plan) {
  const Conversations conversations(prompts);
  plan.several_levels = levels.size() > 1;
  std::size_t all = 0;
  bool known = true;
  for (const LoadLevel& level : levels) {
    plan.most_streams = std::max(plan.most_streams, level.streams);
    known = known && (level.open() || (level.requests && !level.for_ns));
    all +=
        level.open() ? requests_in(conversations, prompts.size(), level.times_ns.size()) : level.requests.value_or(0);
  }
  if (known) plan.requests = all;
  auto held = std::make_shared<std::vector<LoadLevel>>(std::move(levels));
  plan.next_level = [held](const LevelSeen* last) -> std::optional<LoadLevel> {
    const std::size_t number = last == nullptr ? 0 : last->number;
    return number < held->size() ? std::optional((*held)[number]) : std::nullopt;  // kept: for the next model
  };
}

}  // namespace

Result<void> plan_load(const LoadOptions& o, WorkerOptions& worker, std::vector<Fact>& facts,
                       std::vector<std::string>& notes) {
  if (!asks_for_load(o)) return {};
  if (worker.gap_ns > 0) return refused("a load has no gap between prompts", "--gap", "A closed load has --think");
  if (auto checked = check_together(o); !checked) return checked;
  if (auto checked = check_asked(o, worker); !checked) return checked;
  const auto n = numbers_of(o);
  if (!n) return Unexpected<Error>(n.error());
  worker.load.emplace();
  LoadPlan& plan = *worker.load;
  const auto repeat = static_cast<std::size_t>(std::max(worker.repeat, 1));
  const Counts counts{worker.prompts.size() * repeat, Conversations(worker.prompts).size() * repeat};
  std::string mode = "open", words;
  if (!o.find_knee.empty()) {
    if (auto planned = plan_search(o, *n, worker.seed, plan); !planned) return planned;
    words = "search for the largest rate";
  } else if (!o.sweep.empty()) {
    auto levels = sweep_levels(o, *n, counts, worker.seed);
    if (!levels) return Unexpected<Error>(levels.error());
    mode = levels->front().open() ? "open" : "closed";
    words = std::to_string(levels->size()) + " levels, " + o.sweep;
    use_levels(std::move(*levels), worker.prompts, plan);
  } else {
    auto level = !o.scenario.empty() ? scenario_level(o, *n, worker.seed, facts)
                 : !o.trace.empty()  ? trace_level(o, *n, worker, notes)
                                     : one_level(o, *n, counts, worker.seed);
    if (!level) return Unexpected<Error>(level.error());
    mode = level->open() ? "open" : "closed";
    words = level->name;
    std::vector<LoadLevel> one;
    one.push_back(std::move(*level));
    use_levels(std::move(one), worker.prompts, plan);
  }
  // A row for each model: what they did together is no figure of any server.
  plan.several_levels = plan.several_levels || !worker.more_models.empty();
  facts.push_back({"load.mode", mode, "prony"});
  facts.push_back({"load.arrivals", words, "prony"});
  if (!o.slo.empty()) facts.push_back({"load.slo", o.slo, "flag"});
  return {};
}

}  // namespace prony::app
