#include "workloads/worker.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <nlohmann/json.hpp>
#include <span>

#include "base/text.hpp"
#include "model/request_names.hpp"
#include "workloads/load_driver.hpp"
#include "workloads/prompt_preparation.hpp"
#include "workloads/worker_link.hpp"

namespace prony {

namespace {

using nlohmann::json;

constexpr std::size_t most_batch_bytes = std::size_t{2} << 20;
std::int64_t now_ns() { return WorkerLink::now_ns(); }

// One thing to do and how it is called for the user.
struct Task {
  std::string id;
  const Prompt* prompt = nullptr;
  std::int32_t round = 1;
};

class WorkerWorkload final : public Workload {
 public:
  explicit WorkerWorkload(WorkerOptions options) : options_(std::move(options)), requests_(options_) {}

  SpawnOptions command() override { return link_.command(options_.arguments); }
  Result<WorkloadOutcome> run(Child& child, const std::function<void(const Progress&)>& progress) override;

  void cancel(int) noexcept override {
    cancelled_ = true;
    link_.wake();
  }

  void finish_early() noexcept override {
    finishing_ = true;
    // A gap is nothing worth waiting for: it may be an hour. A load sends no more.
    if (resting_ || options_.load) link_.wake();
  }

 private:
  [[nodiscard]] bool over() const noexcept { return cancelled_ || finishing_; }
  Reply ask(const json& message, std::int64_t timeout_ns, const std::function<void(const json&)>& heard = {});
  Result<void> greet(WorkloadOutcome& outcome);
  [[nodiscard]] bool can(const char* capability) const;
  [[nodiscard]] bool names(const char* capability) const { return capabilities_.is_array() && can(capability); }
  Result<void> load(WorkloadOutcome& outcome, std::size_t model, const std::function<void(const Progress&)>& progress);
  Result<void> learn_of_model(WorkloadOutcome& outcome);
  Result<void> further_models(WorkloadOutcome& outcome, const std::function<void(const Progress&)>& progress);
  void generate(WorkloadOutcome& outcome, const std::function<void(const Progress&)>& progress);
  void drive_load(WorkloadOutcome& outcome, const std::function<void(const Progress&)>& progress);
  bool prepare(WorkloadOutcome& outcome, const std::function<void(std::string)>& tell);
  void one_after_another(WorkloadOutcome& outcome, Progress& state, const std::function<void(std::string)>& tell);
  bool step(const Task& task, WorkloadOutcome& outcome, Progress& state);
  bool settle(const Task& task, const Reply& reply, WorkloadOutcome& outcome, Progress& state);
  bool step_together(std::span<const Task> tasks, WorkloadOutcome& outcome, Progress& state);
  [[nodiscard]] std::size_t together(std::span<const Task> left) const;
  json request_of(const Task& task);
  json ask_quietly(const json& request);
  std::vector<Task> tasks() const;
  bool rest(WorkloadOutcome& outcome, const char* name, std::int64_t ns);
  bool warm_up_and_gap(WorkloadOutcome& outcome, const json& request, const std::string& what, json* answer = nullptr);
  bool warm_up(WorkloadOutcome& outcome, const std::function<void(std::string)>& tell);
  [[nodiscard]] json warm_up_request(std::size_t number);
  void end(Child& child, WorkloadOutcome& outcome);
  std::string describe(const Reply& reply, std::int64_t timeout_ns) const;

  WorkerOptions options_;
  WorkerLink link_;
  PromptRequests requests_;
  json capabilities_;
  std::string model_name_;   // put before the ids where there are several models
  std::uint64_t asked_ = 0;  // requests, over all rounds and models
  std::size_t levels_ = 0;   // of loads, over all models
  bool counted_ = false;     // the prompts are chosen and in their order
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> finishing_{false};
  std::atomic<bool> resting_{false};  // in a gap between requests
  bool broken_ = false;               // no further word makes sense
  std::vector<std::string> failed_, not_run_, called_off_;
};

bool is_progress(const Reply& reply) { return !reply.trouble && reply.message["type"] == "progress"; }

// A cancel in mid-wait is passed on, and the worker has two seconds to wind up. `heard`: the worker may tell how far it
// has come before it replies, and is waited for anew with each such word.
Reply WorkerWorkload::ask(const json& message, std::int64_t timeout_ns, const std::function<void(const json&)>& heard) {
  std::int64_t deadline = now_ns() + timeout_ns;
  if (cancelled_) return {{}, Trouble::woken, {}};
  if (!link_.send(message, deadline)) return {{}, now_ns() < deadline ? Trouble::ended : Trouble::timeout, {}};
  Reply reply = link_.receive(deadline, true);  // a cancel may have come since it was looked for
  while (heard && is_progress(reply)) {
    heard(reply.message);
    deadline = now_ns() + timeout_ns;
    reply = cancelled_ ? Reply{{}, Trouble::woken, {}} : link_.receive(deadline, true);
  }
  if (reply.trouble != Trouble::woken) return reply;
  const std::int64_t last = now_ns() + wind_up_ns;
  if (!link_.send({{"type", "cancel"}}, last)) return {{}, Trouble::ended, {}};
  link_.forget_wake();
  do reply = link_.receive(last, false);
  while (heard && is_progress(reply) && now_ns() < last);
  return reply;
}

// The texts of JSON values as they are, not as JSON writes them.
std::string plain(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// Facts of a reply, as they are; of a further model only its own, under its number.
void take_facts(const json& reply, WorkloadOutcome& outcome, std::size_t model = 0) {
  const auto facts = reply.find("facts");
  if (facts == reply.end() || !facts->is_object()) return;
  for (const auto& [key, value] : facts->items()) {
    if (model == 0)
      outcome.facts.emplace_back(key, plain(value));
    else if (key.starts_with("model."))
      outcome.facts.emplace_back("model." + std::to_string(model + 1) + key.substr(5), plain(value));
  }
}

std::string WorkerWorkload::describe(const Reply& reply, std::int64_t timeout_ns) const {
  if (!reply.trouble) {
    const json& error = reply.message.contains("error") ? reply.message["error"] : reply.message;
    if (reply.message["type"] == "error" && error.is_object())
      return plain(error.value("message", json("no message"))) + " (" + plain(error.value("code", json("no code"))) +
             ")";
    return "the worker replied with \"" + printable(reply.message["type"].get<std::string>(), 60) +
           "\", which was not asked for";
  }
  switch (*reply.trouble) {
    case Trouble::ended: return "the worker ended before it answered";
    case Trouble::timeout:
      return cancelled_
                 ? "the worker did not stop within 2 s of being cancelled"
                 : "the worker did not answer within " + format_number(static_cast<double>(timeout_ns) / 1e9) + " s";
    case Trouble::garbage: return reply.detail;
    case Trouble::woken: return "cancelled";
  }
  return {};
}

Result<void> WorkerWorkload::greet(WorkloadOutcome& outcome) {
  const std::string& program = options_.arguments.front();
  Reply hello = link_.receive(now_ns() + options_.load_timeout_ns, true);
  if (hello.trouble == Trouble::woken) hello = link_.receive(now_ns() + wind_up_ns, false);
  if (hello.trouble || hello.message["type"] != "hello")
    return fail(ErrorCode::unavailable, "the worker did not say hello: " + describe(hello, options_.load_timeout_ns),
                program, "run it by itself: its first line must be as docs/worker-protocol.md says");
  const json& words = hello.message;
  const json version = words.value("protocol", json());
  if (version != 1)
    return fail(ErrorCode::unavailable, "the worker speaks protocol " + version.dump() + ", this Prony speaks 1",
                program, "use a worker and a Prony of one release");
  // A worker that lists what it can is not asked for more: each of these changes what is measured.
  capabilities_ = words.value("capabilities", json());
  const auto refuse = [](const char* what, const char* option, const char* fix) {
    return fail(ErrorCode::unavailable, std::string("this engine cannot ") + what, option, fix);
  };
  if (options_.ignore_eos && !can("ignore_eos"))
    return refuse("be told to go on past the model's own end", "--ignore-eos",
                  "Leave it out; answers then differ in length, and joules per token are the figure to compare.");
  if (options_.min_tokens && !can("min_tokens"))
    return refuse("be told how long an answer must be at least", "--min-tokens",
                  "Leave it out; --ignore-eos, where the engine knows it, goes on to --max-tokens.");
  if (options_.truncate_tokens && !can("truncate"))
    return refuse("cut a prompt to a number of tokens", "--truncate-prompt",
                  "--prompt-tokens A..B leaves longer ones out.");
  if (options_.cancel_rate > 0 && !can("cancel_after"))
    return refuse("have a request called off by its client", "--cancel-rate", "Leave it out.");
  if (!options_.batching.empty() && !can("batch"))
    return refuse("be told how to put prompts together", "--batching",
                  "A server makes its own batches: give it several requests at once.");
  requests_.worker_reads_messages(capabilities_.is_array() && can("messages"));
  if (options_.load && options_.load->most_streams > 1 && !names("streams"))
    return Unexpected<Error>(streams_refused());
  for (const auto& [member, fact] :
       {std::pair{"engine", "engine.name"}, {"engine_version", "engine.version"}, {"worker", "engine.worker"}})
    if (words.contains(member)) outcome.facts.emplace_back(fact, plain(words[member]));
  return {};
}

// A worker that lists nothing is taken at its word: it may do anything.
bool WorkerWorkload::can(const char* capability) const {
  return !capabilities_.is_array() ||
         std::find(capabilities_.begin(), capabilities_.end(), capability) != capabilities_.end();
}

// "fetching, 37 %"; of a worker that tells rubbish, what is sure.
std::string fetch_note(const json& told) {
  const json done = told.value("done", json()), total = told.value("total", json());
  if (!done.is_number() || !total.is_number()) return "fetching";
  const double share = done.get<double>() / total.get<double>();
  if (!(share >= 0 && share <= 1)) return "fetching";
  return "fetching, " + std::to_string(static_cast<int>(share * 100)) + " %";
}

// `model`: 0 is the first. Facts of a further one stand under its number.
Result<void> WorkerWorkload::load(WorkloadOutcome& outcome, std::size_t model,
                                  const std::function<void(const Progress&)>& progress) {
  const std::string& name = model == 0 ? options_.model : options_.more_models[model - 1];
  json request = {{"type", "load"}, {"model", name}, {"seed", options_.seed}, {"use_mmap", options_.use_mmap}};
  if (!options_.batching.empty()) request["batching"] = options_.batching;
  if (options_.load && options_.load->most_streams > 1) request["streams"] = options_.load->most_streams;
  if (options_.threads) request["threads"] = *options_.threads;
  if (options_.ctx) request["ctx"] = *options_.ctx;
  if (options_.batch) request["batch"] = *options_.batch;
  const Reply reply = ask(request, options_.load_timeout_ns, [&](const json& told) {
    if (progress) progress({0, 0, 0, fetch_note(told)});
  });
  if (reply.trouble || reply.message["type"] != "loaded")
    return fail(ErrorCode::unavailable, "the model was not loaded: " + describe(reply, options_.load_timeout_ns), name,
                !options_.load_advice.empty()
                    ? options_.load_advice
                    : "check that the file is whole and of a kind that this engine knows, and that memory suffices");
  take_facts(reply.message, outcome, model);
  if (!options_.more_models.empty()) model_name_ = name.substr(name.find_last_of('/') + 1);
  return {};
}

// Null: no reply that helps. Then either all goes on without it, or the next request finds the worker gone.
json WorkerWorkload::ask_quietly(const json& request) {
  Reply reply = ask(request, options_.request_timeout_ns);
  broken_ = broken_ || (reply.trouble && reply.trouble != Trouble::woken);
  if (reply.trouble || reply.message["type"] == "error") return {};
  return std::move(reply.message);
}

// What is to be known before the first prompt of a model.
Result<void> WorkerWorkload::learn_of_model(WorkloadOutcome& outcome) {
  const AskWorker ask = [this](const json& request) { return ask_quietly(request); };
  if (any_synthetic(options_.prompts)) {
    const auto ratio = learn_tokens_per_word(ask);
    requests_.count_tokens_by(ratio.value_or(TokensPerWord{}));
    const std::string of = model_name_.empty() ? "" : " (" + model_name_ + ")";
    outcome.facts.emplace_back("prompts.tokens_per_word" + of,
                               ratio ? format_number(ratio->per_word) : "not told: one is taken");
    if (ratio) outcome.facts.emplace_back("prompts.tokens_around" + of, format_number(ratio->around));
  }
  if (counted_) return {};
  counted_ = true;
  const PromptSelection selection{options_.order, options_.order_seed, options_.prompt_tokens};
  auto chosen = selected_prompts(std::move(options_.prompts), selection, capabilities_.is_array() && can("tokenise"),
                                 ask, outcome.facts);
  if (!chosen) return Unexpected<Error>(chosen.error());
  options_.prompts = std::move(*chosen);
  return {};
}

std::vector<Task> WorkerWorkload::tasks() const {
  std::vector<Task> all;
  all.reserve(options_.prompts.size() * static_cast<std::size_t>(std::max(options_.repeat, 1)));
  for (std::int32_t round = 1; round <= options_.repeat; ++round)
    for (const Prompt& prompt : options_.prompts) {
      std::string id = options_.repeat > 1 ? prompt.id + "#" + std::to_string(round) : prompt.id;
      if (!model_name_.empty()) id = model_name_ + "/" + id;
      all.push_back({std::move(id), &prompt, round});
    }
  return all;
}

// True: go on. What is not a request fails as a line of its own.
bool WorkerWorkload::warm_up_and_gap(WorkloadOutcome& outcome, const json& request, const std::string& what,
                                     json* answer) {
  const std::int64_t timeout = options_.request_timeout_ns + std::max(options_.gap_ns, options_.loaded_baseline_ns);
  const Reply reply = ask(request, timeout);
  if (answer != nullptr && !reply.trouble) *answer = reply.message;
  if (!reply.trouble && (reply.message["type"] == "done" || reply.message["type"] == "result")) return !over();
  outcome.failures.push_back(what + ": " + describe(reply, timeout));
  broken_ = broken_ || reply.trouble;
  return !broken_ && !cancelled_;
}

// A gap that finish_early() cuts short is no failure.
bool WorkerWorkload::rest(WorkloadOutcome& outcome, const char* name, std::int64_t ns) {
  resting_ = true;
  if (over()) {
    resting_ = false;
    return false;
  }
  const std::size_t failures = outcome.failures.size();
  const bool going = warm_up_and_gap(outcome, {{"type", "phase"}, {"name", name}, {"ms", ns / 1'000'000}}, name);
  resting_ = false;
  if (finishing_ && !cancelled_) outcome.failures.resize(failures);
  return going;
}

json WorkerWorkload::request_of(const Task& task) {
  json request = requests_.request(*task.prompt, task.id, task.round, asked_++);
  if (!model_name_.empty()) request["attributes"]["model"] = model_name_;
  return request;
}

// True: go on with the next.
bool WorkerWorkload::step(const Task& task, WorkloadOutcome& outcome, Progress& state) {
  return settle(task, ask(request_of(task), options_.request_timeout_ns), outcome, state);
}

// How many of them go into one message: the engine sees all that it may put together, and a line has its limit.
std::size_t WorkerWorkload::together(std::span<const Task> left) const {
  std::size_t count = 0;
  for (std::size_t bytes = 0; count < left.size() && count < 1024 && bytes < most_batch_bytes; ++count) {
    const Prompt& prompt = *left[count].prompt;
    bytes += prompt.text.size() + 512 + (prompt.synthetic ? prompt.synthetic->tokens * 8 : 0);
    for (const Message& message : prompt.before) bytes += message.content.size();
  }
  return count;
}

bool WorkerWorkload::step_together(std::span<const Task> tasks, WorkloadOutcome& outcome, Progress& state) {
  json request = {{"type", "batch"}, {"id", "batch of " + tasks.front().id}, {"prompts", json::array()}};
  for (const Task& task : tasks) request["prompts"].push_back(request_of(task));
  const auto count = static_cast<std::int64_t>(tasks.size());
  Reply reply = ask(request, options_.request_timeout_ns * count);
  const json results = reply.trouble ? json() : reply.message.value("results", json());
  const bool each = results.is_array() && results.size() == tasks.size();
  bool going = true;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    Reply one = reply;
    if (each) one.message = results[i];
    if (each && !(one.message.is_object() && one.message.value("type", json()).is_string()))
      one = {{}, Trouble::garbage, "the worker's results are not replies"};
    going = settle(tasks[i], one, outcome, state) && going;
    ++state.done;
  }
  return going;
}

bool WorkerWorkload::settle(const Task& task, const Reply& reply, WorkloadOutcome& outcome, Progress& state) {
  const json& message = reply.message;
  const bool answered = !reply.trouble && message["type"] == "result" && message.value("id", json()) == task.id;
  const bool stopped = answered && message.value("finish", json()) == "stop";
  const bool called_off = answered && message.value("finish", json()) == "cancelled";
  if (called_off) {  // as was asked: neither a success nor a failure
    ++outcome.requests_cancelled;
    called_off_.push_back(task.id);
    requests_.failed(*task.prompt, task.round);
    if (options_.keep_output) outcome.answers.emplace_back();
    return !over();
  }
  if (answered && !stopped) {
    ++outcome.requests_ok;
    requests_.answered(*task.prompt, task.round, message);
    if (options_.keep_output) outcome.answers.push_back(plain(message.value("text", json(""))));
    const json tokens = message.value("output_tokens", json(0)), decode_ns = message.value("decode_ns", json(0));
    state.tokens_per_s = tokens.is_number() && decode_ns.is_number() && decode_ns.get<double>() > 0
                             ? (tokens.get<double>() - 1) * 1e9 / decode_ns.get<double>()
                             : 0;
    return !over();
  }
  if (stopped) {  // as its span says
    called_off_.push_back(task.id);
  } else {
    ++outcome.requests_failed;
    failed_.push_back(task.id);
  }
  requests_.failed(*task.prompt, task.round);
  if (options_.keep_output) outcome.answers.emplace_back();
  outcome.failures.push_back("request " + task.id + ": " +
                             (stopped ? "cancelled" : describe(reply, options_.request_timeout_ns)));
  // An error reply concerns this request alone; anything else and the two no longer understand each other.
  broken_ = broken_ || reply.trouble || (!answered && message["type"] != "error");
  return !broken_ && !over();
}

// The rest after loading and the warm-up. True: go on.
bool WorkerWorkload::prepare(WorkloadOutcome& outcome, const std::function<void(std::string)>& tell) {
  bool going = !over();
  if (going && options_.loaded_baseline_ns > 0) {
    tell("loaded, at rest");
    going = rest(outcome, "baseline-loaded", options_.loaded_baseline_ns);
  }
  return going && warm_up(outcome, tell);
}

json WorkerWorkload::warm_up_request(std::size_t number) {
  const std::size_t which = number % options_.prompts.size();
  Prompt prompt = options_.prompts[which];
  prompt.session.clear();
  json request = requests_.request(prompt, "warm-up " + std::to_string(number + 1), 1, asked_);
  request.erase("cancel_after_ns");
  if (options_.load && options_.load->text_of && request["text"] == "") request["text"] = options_.load->text_of(which);
  request["warm_up"] = true;
  request["keep_output"] = false;
  return request;
}

bool WorkerWorkload::warm_up(WorkloadOutcome& outcome, const std::function<void(std::string)>& tell) {
  WarmUpJudge judge(options_.warm_up_until.value_or(WarmUpRule{}));
  const std::int64_t begun = now_ns();
  WarmUpDrift drift;
  std::string cap;
  std::size_t number = 0;
  for (bool going = true; going; ++number) {
    if (number >= static_cast<std::size_t>(std::max(options_.warm_up, 0))) {
      if (!options_.warm_up_until) return true;
      if (options_.drift) drift = options_.drift();
      if (judge.steady(drift)) break;
      if (cap = judge.cap(number, now_ns() - begun); !cap.empty()) break;
    }
    tell("warm-up");
    const json request = warm_up_request(number);
    json answer;
    const std::int64_t sent = now_ns();
    going = warm_up_and_gap(outcome, request, request["id"].get<std::string>(), &answer);
    if (!going) return false;
    const json tokens = answer.value("output_tokens", json()), decode_ns = answer.value("decode_ns", json());
    const bool told = tokens.is_number_integer() && decode_ns.is_number() && tokens.get<std::int64_t>() > 1;
    judge.answered(
        static_cast<double>(now_ns() - sent) / 1e9,
        told ? std::optional(decode_ns.get<double>() / 1e9 / static_cast<double>(tokens.get<std::int64_t>() - 1))
             : std::nullopt);
  }
  const std::string of = model_name_.empty() ? "" : " (" + model_name_ + ")";
  for (auto& [key, value] : judge.facts(number, drift, cap)) outcome.facts.emplace_back(key + of, std::move(value));
  return true;
}

void WorkerWorkload::one_after_another(WorkloadOutcome& outcome, Progress& state,
                                       const std::function<void(std::string)>& tell) {
  const std::vector<Task> all = tasks();
  bool going = prepare(outcome, tell);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool continues = requests_.continues(*all[i].prompt, all[i].round);
    const std::int64_t pause_ns = continues && options_.turn_think_ns > 0 ? options_.turn_think_ns : options_.gap_ns;
    if (going && i > 0 && pause_ns > 0) {
      tell(continues ? "think" : "gap");
      going = rest(outcome, continues && options_.turn_think_ns > 0 ? "think" : "gap", pause_ns);
    }
    // A turn whose conversation broke off before it cannot be asked.
    if (!going || requests_.state(*all[i].prompt, all[i].round) == PromptRequests::State::never) {
      not_run_.push_back(all[i].id);
      continue;
    }
    state.in_request = true;
    state.round = all[i].round;
    if (options_.batching.empty()) {
      tell(all[i].id);
      going = step(all[i], outcome, state);
      ++state.done;
    } else {
      const std::span<const Task> left = std::span(all).subspan(i);
      const std::size_t count = together(left);
      tell(std::to_string(count) + " prompts together");
      going = step_together(left.first(count), outcome, state);
      i += count - 1;
    }
    state.in_request = false;
    tell(state.note);
  }
  tell("");
}

void WorkerWorkload::generate(WorkloadOutcome& outcome, const std::function<void(const Progress&)>& progress) {
  Progress state;
  state.total = options_.load ? options_.load->requests.value_or(0)
                              : options_.prompts.size() * static_cast<std::size_t>(std::max(options_.repeat, 1));
  const auto tell = [&](std::string note) {
    state.note = std::move(note);
    if (progress) progress(state);
  };
  if (!options_.load) return one_after_another(outcome, state, tell);
  if (!prepare(outcome, tell)) return;
  drive_load(outcome, progress);
}

void WorkerWorkload::drive_load(WorkloadOutcome& outcome, const std::function<void(const Progress&)>& progress) {
  LoadDriver::Settings settings{
      *options_.load, options_.prompts,
      [this](const Prompt& p, const std::string& id, std::int32_t round) { return request_of({id, &p, round}); }};
  settings.ended = [this](const Prompt& prompt, std::int32_t round, const json* result, bool last) {
    if (last)
      requests_.ended(prompt, round);
    else
      requests_.answered(prompt, round, *result);
  };
  settings.request_timeout_ns = options_.request_timeout_ns;
  settings.worker_keeps_time = names("schedule");
  settings.keep_output = options_.keep_output;
  settings.turn_think_ns = options_.turn_think_ns;
  settings.levels_before = levels_;
  if (!model_name_.empty()) {
    settings.id_prefix = model_name_ + "/";
    settings.level_prefix = model_name_ + ": ";
  }
  LoadDriver driver(link_, std::move(settings), {cancelled_, finishing_});
  const bool well =
      driver.run(outcome, progress, [this](const Reply& r) { return describe(r, options_.request_timeout_ns); });
  levels_ += driver.levels();
  broken_ = broken_ || !well;
}

std::string comma_list(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + as_listed(word);
  return text;
}

// Ends the worker as gently as it lets itself be ended, and says how it ended if that was not well.
void WorkerWorkload::end(Child& child, WorkloadOutcome& outcome) {
  if (!broken_ && link_.send({{"type", "stop"}}, now_ns() + wind_up_ns)) {
    const Reply bye = link_.receive(now_ns() + wind_up_ns, !cancelled_);
    if (!bye.trouble) take_facts(bye.message, outcome);  // what only the whole tells: the most memory, say
  }
  link_.close_input();
  auto status = child.wait(broken_ ? wind_up_ns / 10 : wind_up_ns);
  bool killed = false;
  if (status && !*status) {
    killed = true;
    child.signal(SIGKILL);
    status = child.wait();
  }
  link_.close_output();
  if (status && *status) outcome.exit = **status;
  if (killed)
    outcome.failures.emplace_back("the worker did not end by itself and was killed");
  else if (outcome.exit.signal != 0)
    outcome.failures.push_back("the worker was ended by signal " + std::to_string(outcome.exit.signal));
  else if (outcome.exit.code != 0)
    outcome.failures.push_back("the worker ended with exit code " + std::to_string(outcome.exit.code));
  if (!failed_.empty()) outcome.facts.emplace_back("requests.failed", comma_list(failed_));
  if (!called_off_.empty()) outcome.facts.emplace_back("requests.cancelled", comma_list(called_off_));
  if (!not_run_.empty()) {
    outcome.facts.emplace_back("requests.not_run", comma_list(not_run_));
    outcome.failures.push_back(std::to_string(not_run_.size()) + " request(s) not run: " + comma_list(not_run_));
  }
}

// The same prompts for each further model. One that cannot be loaded is a failure of its own; the others are asked.
Result<void> WorkerWorkload::further_models(WorkloadOutcome& outcome,
                                            const std::function<void(const Progress&)>& progress) {
  for (std::size_t model = 1; model <= options_.more_models.size(); ++model) {
    if (broken_ || over()) {
      outcome.failures.push_back("model " + options_.more_models[model - 1] + ": not asked");
      continue;
    }
    requests_.forget();
    if (options_.model_gap_ns > 0 && !rest(outcome, "model-gap", options_.model_gap_ns)) continue;
    Result<void> ready = load(outcome, model, progress);
    if (ready) ready = learn_of_model(outcome);
    if (ready)
      generate(outcome, progress);
    else
      outcome.failures.push_back("model " + options_.more_models[model - 1] + ": " + ready.error().what);
  }
  return {};
}

Result<WorkloadOutcome> WorkerWorkload::run(Child& child, const std::function<void(const Progress&)>& progress) {
  link_.drop_child_ends();
  WorkloadOutcome outcome;
  Result<void> ready;
  if (link_.error()) ready = Unexpected<Error>(*link_.error());
  if (ready && options_.prompts.empty()) ready = fail(ErrorCode::usage, "there is no prompt");
  if (progress)
    progress({0,
              options_.load ? options_.load->requests.value_or(0)
                            : options_.prompts.size() * static_cast<std::size_t>(std::max(options_.repeat, 1)),
              0, "loading"});
  if (ready) ready = greet(outcome);
  if (ready) ready = load(outcome, 0, progress);
  if (ready) ready = learn_of_model(outcome);
  if (ready) generate(outcome, progress);
  if (ready) ready = further_models(outcome, progress);
  broken_ = broken_ || !ready;
  end(child, outcome);
  if (!ready) {
    if (outcome.exit.signal != 0)
      ready.error().what += "; it was ended by signal " + std::to_string(outcome.exit.signal);
    return Unexpected<Error>(ready.error());
  }
  return outcome;
}

}  // namespace

Error streams_refused() {
  return {ErrorCode::unavailable, "this engine answers one request after another",
          "several requests under way (--streams, --rate, …)",
          "Leave out what has several under way (--streams 1), or ask a server:  prony help engines"};
}

std::unique_ptr<Workload> make_worker_workload(WorkerOptions options) {
  return std::make_unique<WorkerWorkload>(std::move(options));
}

}  // namespace prony
