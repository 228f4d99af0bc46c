#include "workloads/worker.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace prony {

namespace {

using nlohmann::json;

constexpr std::size_t line_limit = std::size_t{16} << 20;
constexpr std::int64_t second_ns = 1'000'000'000, patience_ns = 2 * second_ns;

// For deadlines of waiting only; nothing that is measured uses it.
std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * second_ns + now.tv_nsec;
}

// How a wait for a reply ended, when it was not a reply.
enum class Trouble { ended, timeout, garbage, cancelled };

struct Reply {
  json message;  // an object with a text "type", if no trouble
  std::optional<Trouble> trouble;
  std::string detail;
};

// One thing to do and how it is called for the user.
struct Task {
  std::string id;
  json request;
};

std::string shortened(std::string_view line) { return printable(line, 60); }

class WorkerWorkload final : public Workload {
 public:
  explicit WorkerWorkload(WorkerOptions options)
      : options_(std::move(options)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  SpawnOptions command() override;
  Result<WorkloadOutcome> run(Child& child, const std::function<void(const Progress&)>& progress) override;

  void cancel(int) noexcept override {
    cancelled_ = true;
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
  }

  void finish_early() noexcept override {
    finishing_ = true;
    if (resting_) {  // a gap is nothing worth waiting for: it may be an hour
      const std::uint64_t one = 1;
      (void)!::write(wake_.get(), &one, sizeof one);
    }
  }

 private:
  [[nodiscard]] bool over() const noexcept { return cancelled_ || finishing_; }
  bool send(const json& message, std::int64_t deadline);
  Reply receive(std::int64_t deadline);
  Reply ask(const json& message, std::int64_t timeout_ns);
  Result<void> greet(WorkloadOutcome& outcome);
  Result<void> load(WorkloadOutcome& outcome);
  void generate(WorkloadOutcome& outcome, const std::function<void(const Progress&)>& progress);
  bool step(const Task& task, WorkloadOutcome& outcome, Progress& state);
  json prompt_request(const Prompt& prompt, const std::string& id) const;
  std::vector<Task> tasks() const;
  bool rest(WorkloadOutcome& outcome, const char* name, std::int64_t ns);
  bool warm_up_and_gap(WorkloadOutcome& outcome, const json& request, const std::string& what);
  void end(Child& child, WorkloadOutcome& outcome);
  std::string describe(const Reply& reply, std::int64_t timeout_ns) const;

  WorkerOptions options_;
  Fd wake_, child_in_, child_out_, to_, from_;
  std::string buffer_;
  std::size_t line_ = 0;
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> finishing_{false};
  std::atomic<bool> resting_{false};  // in a gap between requests
  bool broken_ = false;               // no further word makes sense
  std::vector<std::string> failed_, not_run_;
  std::optional<Error> pipes_;
};

SpawnOptions WorkerWorkload::command() {
  SpawnOptions spawn;
  spawn.arguments = options_.arguments;
  // A socket for the worker's input: writing to a dead one is an error to be told, not a signal to the meter.
  std::array<int, 2> in{-1, -1}, out{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in.data()) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0)
    pipes_ = error_from_errno(errno, options_.arguments.empty() ? "" : options_.arguments.front(),
                              "cannot connect to the worker");
  to_ = Fd(in[0]);
  child_in_ = Fd(in[1]);
  from_ = Fd(out[0]);
  child_out_ = Fd(out[1]);
  spawn.stdin_fd = child_in_.get();
  spawn.stdout_fd = child_out_.get();
  return spawn;
}

bool WorkerWorkload::send(const json& message, std::int64_t deadline) {
  const std::string line = message.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t got = ::send(to_.get(), line.data() + done, line.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (got >= 0) {
      done += static_cast<std::size_t>(got);
      continue;
    }
    if (errno == EINTR) continue;
    const std::int64_t left = deadline - now_ns();
    if (errno != EAGAIN || left <= 0) return false;
    pollfd ready{to_.get(), POLLOUT, 0};
    ::poll(&ready, 1, static_cast<int>(std::min<std::int64_t>(left / 1'000'000 + 1, 1000)));
  }
  return true;
}

Reply WorkerWorkload::receive(std::int64_t deadline) {
  std::size_t searched = 0;
  for (;;) {
    const std::size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos) {
      const std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      ++line_;
      json message = json::parse(line, nullptr, false);
      if (message.is_object() && message.contains("type") && message["type"].is_string())
        return {std::move(message), {}, {}};
      return {{},
              Trouble::garbage,
              "line " + std::to_string(line_) + " of its standard output is not a reply: \"" + shortened(line) + "\""};
    }
    searched = buffer_.size();
    if (buffer_.size() > line_limit)
      return {
          {}, Trouble::garbage, "line " + std::to_string(line_ + 1) + " of its standard output is longer than 16 MiB"};
    const std::int64_t left = deadline - now_ns();
    if (left <= 0) return {{}, Trouble::timeout, {}};
    std::array<pollfd, 2> ready{pollfd{from_.get(), POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0}};
    ::poll(ready.data(), cancelled_ ? 1 : 2, static_cast<int>(std::min<std::int64_t>(left / 1'000'000 + 1, 60'000)));
    if (ready[0].revents == 0) {
      if (ready[1].revents != 0) return {{}, Trouble::cancelled, {}};
      continue;
    }
    std::array<char, 65536> chunk{};
    const ssize_t got = ::read(from_.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {{}, Trouble::ended, {}};
    buffer_.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

// A cancel in mid-wait is passed on, and the worker has two seconds to wind up.
Reply WorkerWorkload::ask(const json& message, std::int64_t timeout_ns) {
  const std::int64_t deadline = now_ns() + timeout_ns;
  if (cancelled_) return {{}, Trouble::cancelled, {}};
  if (!send(message, deadline)) return {{}, now_ns() < deadline ? Trouble::ended : Trouble::timeout, {}};
  Reply reply = receive(deadline);
  if (reply.trouble != Trouble::cancelled) return reply;
  const std::int64_t last = now_ns() + patience_ns;
  if (!send({{"type", "cancel"}}, last)) return {{}, Trouble::ended, {}};
  return receive(last);
}

// The texts of JSON values as they are, not as JSON writes them.
std::string plain(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string WorkerWorkload::describe(const Reply& reply, std::int64_t timeout_ns) const {
  if (!reply.trouble) {
    const json& error = reply.message.contains("error") ? reply.message["error"] : reply.message;
    if (reply.message["type"] == "error" && error.is_object())
      return plain(error.value("message", json("no message"))) + " (" + plain(error.value("code", json("no code"))) +
             ")";
    return "the worker replied with \"" + shortened(reply.message["type"].get<std::string>()) +
           "\", which was not asked for";
  }
  switch (*reply.trouble) {
    case Trouble::ended: return "the worker ended before it answered";
    case Trouble::timeout:
      return cancelled_
                 ? "the worker did not stop within 2 s of being cancelled"
                 : "the worker did not answer within " + format_number(static_cast<double>(timeout_ns) / 1e9) + " s";
    case Trouble::garbage: return reply.detail;
    case Trouble::cancelled: return "cancelled";
  }
  return {};
}

Result<void> WorkerWorkload::greet(WorkloadOutcome& outcome) {
  const std::string& program = options_.arguments.front();
  Reply hello = receive(now_ns() + options_.load_timeout_ns);
  if (hello.trouble || hello.message["type"] != "hello")
    return fail(ErrorCode::unavailable, "the worker did not say hello: " + describe(hello, options_.load_timeout_ns),
                program, "run it by itself: its first line must be as docs/worker-protocol.md says");
  const json& words = hello.message;
  const json version = words.value("protocol", json());
  if (version != 1)
    return fail(ErrorCode::unavailable, "the worker speaks protocol " + version.dump() + ", this Prony speaks 1",
                program, "use a worker and a Prony of one release");
  // A worker that lists what it can is not asked for more; --ignore-eos changes what is measured.
  const json can = words.value("capabilities", json());
  if (options_.ignore_eos && can.is_array() && std::find(can.begin(), can.end(), "ignore_eos") == can.end())
    return fail(ErrorCode::unavailable, "this engine cannot be told to go on past the model's own end", "--ignore-eos",
                "Leave it out; answers then differ in length, and joules per token are the figure to compare.");
  for (const auto& [member, fact] :
       {std::pair{"engine", "engine.name"}, {"engine_version", "engine.version"}, {"worker", "engine.worker"}})
    if (words.contains(member)) outcome.facts.emplace_back(fact, plain(words[member]));
  return {};
}

Result<void> WorkerWorkload::load(WorkloadOutcome& outcome) {
  json request = {
      {"type", "load"}, {"model", options_.model}, {"seed", options_.seed}, {"use_mmap", options_.use_mmap}};
  if (options_.threads) request["threads"] = *options_.threads;
  if (options_.ctx) request["ctx"] = *options_.ctx;
  if (options_.batch) request["batch"] = *options_.batch;
  const Reply reply = ask(request, options_.load_timeout_ns);
  if (reply.trouble || reply.message["type"] != "loaded")
    return fail(ErrorCode::unavailable, "the model was not loaded: " + describe(reply, options_.load_timeout_ns),
                options_.model,
                !options_.load_advice.empty()
                    ? options_.load_advice
                    : "check that the file is whole and of a kind that this engine knows, and that memory suffices");
  if (const auto facts = reply.message.find("facts"); facts != reply.message.end() && facts->is_object())
    for (const auto& [key, value] : facts->items()) outcome.facts.emplace_back(key, plain(value));
  return {};
}

json WorkerWorkload::prompt_request(const Prompt& prompt, const std::string& id) const {
  return {{"type", "prompt"},
          {"id", id},
          {"text", prompt.text},
          {"max_tokens", prompt.max_tokens.value_or(options_.max_tokens)},
          {"temperature", options_.temperature},
          {"top_k", options_.top_k},
          {"top_p", options_.top_p},
          {"seed", options_.seed},
          {"ignore_eos", options_.ignore_eos},
          {"keep_output", options_.keep_output}};
}

std::vector<Task> WorkerWorkload::tasks() const {
  std::vector<Task> all;
  for (std::int32_t round = 1; round <= options_.repeat; ++round)
    for (const Prompt& prompt : options_.prompts) {
      const std::string id = options_.repeat > 1 ? prompt.id + "#" + std::to_string(round) : prompt.id;
      all.push_back({id, prompt_request(prompt, id)});
      if (round > 1) all.back().request["repeat"] = round;
    }
  return all;
}

// True: go on. What is not a request fails as a line of its own.
bool WorkerWorkload::warm_up_and_gap(WorkloadOutcome& outcome, const json& request, const std::string& what) {
  const std::int64_t timeout = options_.request_timeout_ns + std::max(options_.gap_ns, options_.loaded_baseline_ns);
  const Reply reply = ask(request, timeout);
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

// True: go on with the next.
bool WorkerWorkload::step(const Task& task, WorkloadOutcome& outcome, Progress& state) {
  const Reply reply = ask(task.request, options_.request_timeout_ns);
  const json& message = reply.message;
  const bool answered = !reply.trouble && message["type"] == "result" && message.value("id", json()) == task.id;
  const bool stopped = answered && message.value("finish", json()) == "stop";
  if (answered && !stopped) {
    ++outcome.requests_ok;
    if (options_.keep_output) outcome.answers.push_back(plain(message.value("text", json(""))));
    const json tokens = message.value("output_tokens", json(0)), decode_ns = message.value("decode_ns", json(0));
    state.tokens_per_s = tokens.is_number() && decode_ns.is_number() && decode_ns.get<double>() > 0
                             ? (tokens.get<double>() - 1) * 1e9 / decode_ns.get<double>()
                             : 0;
    return !over();
  }
  ++outcome.requests_failed;
  failed_.push_back(task.id);
  if (options_.keep_output) outcome.answers.emplace_back();
  outcome.failures.push_back("request " + task.id + ": " +
                             (stopped ? "cancelled" : describe(reply, options_.request_timeout_ns)));
  // An error reply concerns this request alone; anything else and the two no longer understand each other.
  broken_ = broken_ || reply.trouble || (!answered && message["type"] != "error");
  return !broken_ && !over();
}

void WorkerWorkload::generate(WorkloadOutcome& outcome, const std::function<void(const Progress&)>& progress) {
  const std::vector<Task> all = tasks();
  Progress state;
  state.total = all.size();
  const auto tell = [&](std::string note) {
    state.note = std::move(note);
    if (progress) progress(state);
  };
  bool going = !over();
  if (going && options_.loaded_baseline_ns > 0) {
    tell("loaded, at rest");
    going = rest(outcome, "baseline-loaded", options_.loaded_baseline_ns);
  }
  for (std::int32_t i = 0; going && i < options_.warm_up; ++i) {
    tell("warm-up");
    const std::string id = "warm-up " + std::to_string(i + 1);
    json request = prompt_request(options_.prompts[static_cast<std::size_t>(i) % options_.prompts.size()], id);
    request["warm_up"] = true;
    request["keep_output"] = false;
    going = warm_up_and_gap(outcome, request, id);
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (going && i > 0 && options_.gap_ns > 0) {
      tell("gap");
      going = rest(outcome, "gap", options_.gap_ns);
    }
    if (!going) {
      not_run_.push_back(all[i].id);
      continue;
    }
    tell(all[i].id);
    going = step(all[i], outcome, state);
    ++state.done;
  }
  tell("");
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

// Ends the worker as gently as it lets itself be ended, and says how it ended if that was not well.
void WorkerWorkload::end(Child& child, WorkloadOutcome& outcome) {
  if (!broken_ && send({{"type", "stop"}}, now_ns() + patience_ns)) (void)receive(now_ns() + patience_ns);
  to_.reset();
  auto status = child.wait(broken_ ? patience_ns / 10 : patience_ns);
  bool killed = false;
  if (status && !*status) {
    killed = true;
    child.signal(SIGKILL);
    status = child.wait();
  }
  from_.reset();
  if (status && *status) outcome.exit = **status;
  if (killed)
    outcome.failures.emplace_back("the worker did not end by itself and was killed");
  else if (outcome.exit.signal != 0)
    outcome.failures.push_back("the worker was ended by signal " + std::to_string(outcome.exit.signal));
  else if (outcome.exit.code != 0)
    outcome.failures.push_back("the worker ended with exit code " + std::to_string(outcome.exit.code));
  if (!failed_.empty()) outcome.facts.emplace_back("requests.failed", joined(failed_));
  if (!not_run_.empty()) {
    outcome.facts.emplace_back("requests.not_run", joined(not_run_));
    outcome.failures.push_back(std::to_string(not_run_.size()) + " request(s) not run: " + joined(not_run_));
  }
}

Result<WorkloadOutcome> WorkerWorkload::run(Child& child, const std::function<void(const Progress&)>& progress) {
  // Only the worker may hold its ends, or its death would go unnoticed.
  child_in_.reset();
  child_out_.reset();
  WorkloadOutcome outcome;
  Result<void> ready;
  if (pipes_) ready = Unexpected<Error>(*pipes_);
  if (ready && options_.prompts.empty()) ready = fail(ErrorCode::usage, "there is no prompt");
  if (progress)
    progress({0, options_.prompts.size() * static_cast<std::size_t>(std::max(options_.repeat, 1)), 0, "loading"});
  if (ready) ready = greet(outcome);
  if (ready) ready = load(outcome);
  if (ready) generate(outcome, progress);
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

std::unique_ptr<Workload> make_worker_workload(WorkerOptions options) {
  return std::make_unique<WorkerWorkload>(std::move(options));
}

}  // namespace prony
