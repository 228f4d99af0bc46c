// conductor: starts burners, feeds a FUSE package with what they and the whole machine use, and keeps the truth: who
// used how many CPU seconds and joules until when. The package's power is a known function of the running set:
//   idle + watts(t) · (CPUs that are busy)
// so that everybody's true part of the active energy is watts(t) integrated over his own CPU clock. How many CPUs are
// busy comes from the kernel's idle time (exact where idle CPUs stop their tick), not from the busy time that Prony
// reads. Before the start signal and after the end signal the package idles, whatever runs: a baseline then is the
// truth.
//
// usage: conductor FEED OUT [--idle W] [--watts 0=20,5=60] [--feed-us 5000] --burner "…"… [--sleepers N] [--light N]
// Prints "ready {pids}"; SIGUSR1 starts the burners, SIGUSR2 ends the active power, SIGTERM writes OUT (JSON) and ends.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/text.hpp"
#include "burners.hpp"
#include "live_feed.hpp"

namespace {

using namespace prony;
using namespace prony::rigs;

struct Options {
  std::string feed, out;
  double idle_w = 10;
  std::vector<std::pair<double, double>> watts{{0, 20}};  // from second T after the start on, per busy CPU
  std::int64_t feed_ns = 5'000'000;
  std::vector<BurnerPlan> burners;
  int sleepers = 0, light = 0;
};

// Everybody of one name.
struct Party {
  std::string name;
  std::vector<std::pair<pid_t, std::optional<std::size_t>>> alive;  // with the burner whose children count too
  std::int64_t ended_ns = 0;
  double cpu_s = 0, joules = 0;
};

class Conductor {
 public:
  explicit Conductor(Options options) : options_(std::move(options)) {}
  Result<void> prepare();
  int conduct();

 private:
  struct Busy {
    double exact_s = 0, ticks_s = 0;
  };
  void announce() const;
  void feed(std::int64_t now);
  void bear(double at_s);
  void bury();
  [[nodiscard]] Busy busy();
  [[nodiscard]] double watts(double at_s) const;
  [[nodiscard]] int write_out() const;
  Party& party(const std::string& name);

  Options options_;
  Fd stat_, begin_read_, begin_write_;
  Mapping feed_file_;
  Stage* stage_ = nullptr;
  std::vector<Party> parties_;
  std::vector<bool> born_;         // by burner
  std::vector<double> next_beat_;  // of those whose short ones the conductor bears
  std::int64_t zero_ns_ = 0, last_ns_ = 0;
  Busy last_busy_;
  double energy_j_ = 0;
  bool over_ = false;
  nlohmann::json points_ = nlohmann::json::array();
};

Party& Conductor::party(const std::string& name) {
  const auto found = std::ranges::find(parties_, name, &Party::name);
  if (found != parties_.end()) return *found;
  parties_.push_back({name, {}, 0, 0, 0});
  return parties_.back();
}

// CPUs × time − idle − stolen, of all CPUs since the machine was started; and what the kernel's ticks made of it. What
// a hypervisor gave to others is in nobody's CPU clock: it must not draw power here either.
Conductor::Busy Conductor::busy() {
  char text[512];
  const long bytes = read_from_start(stat_, text, sizeof text - 1);
  const auto line = std::string_view(text, static_cast<std::size_t>(std::max(bytes, 0L)));
  const auto fields =
      split(line.substr(0, line.find('\n')), ' ');  // "cpu", "", user nice system idle iowait irq softirq steal
  if (fields.size() < 10) return last_busy_;
  const double per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  const auto field_s = [&](std::size_t i) { return parse_finite(fields[i]).value_or(0) / per_second; };
  const double all = static_cast<double>(last_ns_) * 1e-9 * static_cast<double>(::sysconf(_SC_NPROCESSORS_ONLN));
  return {all - field_s(5) - field_s(6) - field_s(9), field_s(2) + field_s(3) + field_s(4) + field_s(7) + field_s(8)};
}

double Conductor::watts(double at_s) const {
  if (zero_ns_ == 0 || over_) return 0;
  double result = 0;
  for (const auto& [from, watts] : options_.watts)
    if (at_s >= from) result = watts;
  return result;
}

Result<void> Conductor::prepare() {
  auto stat = Fd::open("/proc/stat", O_RDONLY);
  if (!stat) return Unexpected<Error>(stat.error());
  stat_ = *std::move(stat);
  auto file = Fd::open(options_.feed, O_RDWR | O_CREAT, 0644);
  if (!file) return Unexpected<Error>(file.error());
  if (::ftruncate(file->get(), sizeof(LiveFeed)) != 0)
    return Unexpected<Error>(error_from_errno(errno, options_.feed, "cannot be made"));
  auto mapping = Mapping::map(*file, sizeof(LiveFeed), true);
  if (!mapping) return Unexpected<Error>(mapping.error());
  feed_file_ = *std::move(mapping);
  int ends[2];
  void* memory = ::mmap(nullptr, sizeof(Stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || ::pipe2(ends, O_CLOEXEC) != 0)
    return Unexpected<Error>(error_from_errno(errno, {}, "no memory or pipe"));
  stage_ = new (memory) Stage;
  begin_read_ = Fd(ends[0]), begin_write_ = Fd(ends[1]);
  born_.assign(options_.burners.size(), false);
  for (const auto& burner : options_.burners) next_beat_.push_back(burner.begin_s);
  for (const auto& burner : options_.burners) static_cast<void>(party(burner.name));
  for (int i = 0; i < options_.sleepers; ++i) static_cast<void>(start_sleeper("sleeper"));
  return {};
}

// Burners of 0 s are there before the start, and wait for it.
void Conductor::bear(double at_s) {
  for (std::size_t i = 0; i < options_.burners.size(); ++i) {
    const auto& plan = options_.burners[i];
    const bool lone = plan.each_s > 0 && !plan.by_parent;
    if (!lone && !born_[i] && (plan.begin_s <= 0 || at_s >= plan.begin_s)) {
      party(plan.name).alive.emplace_back(start_burner(plan, i, *stage_, begin_read_), i);
      born_[i] = true;
    }
    if (lone && at_s >= next_beat_[i] && next_beat_[i] + plan.every_s <= plan.end_s) {
      party(plan.name).alive.emplace_back(start_short_one(plan), std::nullopt);
      next_beat_[i] += plan.every_s;
    }
  }
}

// What wait4 tells of a burner is its whole life, with the children that it waited for.
void Conductor::bury() {
  rusage usage{};
  for (pid_t pid = 0; (pid = ::wait4(-1, nullptr, WNOHANG, &usage)) > 0;)
    for (auto& party : parties_) {
      const auto found = std::ranges::find(party.alive, pid, &std::pair<pid_t, std::optional<std::size_t>>::first);
      if (found == party.alive.end()) continue;
      for (const auto& time : {usage.ru_utime, usage.ru_stime})
        party.ended_ns += static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_usec * 1000;
      party.alive.erase(found);
    }
}

void Conductor::feed(std::int64_t now) {
  const double length_s = static_cast<double>(now - last_ns_) * 1e-9;
  const double at_s = static_cast<double>(now - zero_ns_) * 1e-9;
  last_ns_ = now;
  Busy now_busy = busy();
  now_busy.exact_s = std::max(now_busy.exact_s, last_busy_.exact_s);  // idle and now are not read in the same instant
  energy_j_ += options_.idle_w * length_s + watts(at_s) * (now_busy.exact_s - last_busy_.exact_s);
  last_busy_ = now_busy;
  live_feed_in(feed_file_.bytes())
      ->used_nj.store(static_cast<std::uint64_t>(energy_j_ * 1e9), std::memory_order_release);
  bury();
  nlohmann::json point = {now, energy_j_, now_busy.exact_s, now_busy.ticks_s};
  for (auto& party : parties_) {
    std::int64_t cpu_ns = party.ended_ns;
    for (const auto& [pid, index] : party.alive) {
      cpu_ns += std::max<std::int64_t>(0, process_clock_ns(pid));
      if (!index) continue;
      if (const pid_t child = stage_->child[*index].load(); child > 0)
        cpu_ns += std::max<std::int64_t>(0, process_clock_ns(child));
      cpu_ns += stage_->children_ns[*index].load();
    }
    const double cpu_s = std::max(party.cpu_s, static_cast<double>(cpu_ns) * 1e-9);
    party.joules += watts(at_s) * (cpu_s - party.cpu_s);
    party.cpu_s = cpu_s;
    point.push_back(party.cpu_s);
    point.push_back(party.joules);
  }
  points_.push_back(std::move(point));
}

void Conductor::announce() const {
  nlohmann::json pids;
  for (const auto& party : parties_)
    for (const auto& [pid, index] : party.alive) pids[party.name].push_back(pid);
  std::printf("ready %s\n", pids.dump().c_str());
  std::fflush(stdout);
}

int Conductor::write_out() const {
  nlohmann::json names = nlohmann::json::array();
  for (const auto& party : parties_) names.push_back(party.name);
  std::ofstream file(options_.out);
  file << nlohmann::json{{"idle_w", options_.idle_w}, {"zero_ns", zero_ns_}, {"parties", names}, {"points", points_}}
              .dump();
  return file.good() ? 0 : 1;
}

int Conductor::conduct() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT}) sigaddset(&signals, number);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  bear(-1);
  last_ns_ = monotonic_ns();
  last_busy_ = busy();
  ::setpriority(PRIO_PROCESS, 0, -15);  // it stands for a meter in the processor; where it may not, it is a little late
  announce();
  for (std::int64_t next = last_ns_ + options_.feed_ns;; next += options_.feed_ns) {
    const auto left = std::max<std::int64_t>(0, next - monotonic_ns());
    const timespec wait{static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
    const int signal = ::sigtimedwait(&signals, nullptr, &wait);
    const std::int64_t now = monotonic_ns();
    feed(now);
    if (signal == SIGTERM || signal == SIGINT) return write_out();
    if (signal == SIGUSR1 && zero_ns_ == 0) {
      zero_ns_ = now;
      stage_->begin_ns = now;
      begin_write_.reset();
    }
    if (signal == SIGUSR2) over_ = true;
    if (zero_ns_ != 0) bear(static_cast<double>(now - zero_ns_) * 1e-9);
    next = std::max(next, now - options_.feed_ns);
  }
}

Result<Options> parse(const std::vector<std::string>& words) {
  Options options;
  if (words.size() < 2) return fail(ErrorCode::usage, "wants FEED and OUT");
  options.feed = words[0], options.out = words[1];
  for (std::size_t i = 2; i + 1 < words.size(); i += 2) {
    const auto number = parse_finite(words[i + 1]);
    if (words[i] == "--burner") {
      auto plan = parse_burner(words[i + 1]);
      if (!plan) return Unexpected<Error>(plan.error());
      options.burners.push_back(*std::move(plan));
    } else if (words[i] == "--watts") {
      options.watts.clear();
      for (const auto pair : split(words[i + 1], ',')) {
        const auto equals = pair.find('=');
        if (equals == std::string_view::npos) return fail(ErrorCode::usage, "is not T=W", std::string(pair));
        options.watts.emplace_back(parse_finite(pair.substr(0, equals)).value_or(0),
                                   parse_finite(pair.substr(equals + 1)).value_or(0));
      }
    } else if (!number || *number < 0) {
      return fail(ErrorCode::usage, "wants a number", words[i]);
    } else if (words[i] == "--idle") {
      options.idle_w = *number;
    } else if (words[i] == "--feed-us") {
      options.feed_ns = std::max<std::int64_t>(100'000, static_cast<std::int64_t>(*number * 1000));
    } else if (words[i] == "--sleepers") {
      options.sleepers = static_cast<int>(*number);
    } else if (words[i] == "--light") {
      options.light = static_cast<int>(*number);
    } else {
      return fail(ErrorCode::usage, "no such option", words[i]);
    }
  }
  for (int i = 0; i < options.light; ++i) options.burners.push_back({"light", 0.005, 1, 0, 1e6, 0, 1, false});
  if (options.burners.size() > std::size(Stage{}.children_ns)) return fail(ErrorCode::usage, "too many burners");
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  auto options = parse({argv + 1, argv + argc});
  if (!options) {
    std::fprintf(stderr, "conductor: %s: %s\n%s", options.error().where.c_str(), options.error().what.c_str(),
                 burner_help);
    return 2;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  Conductor conductor(*std::move(options));
  if (const auto prepared = conductor.prepare(); !prepared) {
    std::fprintf(stderr, "conductor: %s: %s\n", prepared.error().where.c_str(), prepared.error().what.c_str());
    return 1;
  }
  return conductor.conduct();
}
