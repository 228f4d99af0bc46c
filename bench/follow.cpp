// bench_follow PROCESSES SECONDS [COMMAND]: CPU time of one look of a ProcessFollower at PROCESSES sleepers with names
// and a tree (who is there, who was born, who ended, what each used), beside its floor: one listing of /proc and
// everybody's process clock, nothing kept. In turns; then the follower's share of a core as `prony run --all` has it,
// at 10 and at 1 tick a second: its looks, its ticks of the one target, what it asks once a second, and a birth a
// second. COMMAND is run while they sleep and prints the CPU time of one look of its own, in ns. One JSON object on
// stdout.
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>

#include "floor.hpp"
#include "process/follow.hpp"

namespace {

using namespace prony;
using bench::clock_ns;

constexpr int turns = 15, looks = 10;

// A tree ten deep: each of the first makes the next, and so on. Ends with its parent.
void sleep_named(int number) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const std::string name = "sleeper-" + std::to_string(number);
  prctl(PR_SET_NAME, name.c_str());
  while (true) pause();
}

std::vector<pid_t> make_sleepers(int count) {
  std::vector<pid_t> children;
  for (int made = 0; made < count; made += 10) {
    const pid_t child = fork();
    if (child == 0) {
      for (int below = 1; below < std::min(10, count - made); ++below) {
        const pid_t next = fork();
        if (next != 0) sleep_named(made + below - 1);
      }
      sleep_named(made + 9);
    }
    if (child > 0) children.push_back(child);
  }
  usleep(500'000);
  return children;
}

struct Entry {
  std::uint64_t inode;
  std::int64_t offset;
  unsigned short length;
  unsigned char type;
  char name[];
};

// One listing of /proc and everybody's clock.
std::size_t floor_look() {
  alignas(8) static std::array<char, 32 * 1024> buffer;
  static std::vector<pid_t> pids;
  pids.clear();
  const int directory = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  long got = 0;
  while ((got = syscall(SYS_getdents64, directory, buffer.data(), buffer.size())) > 0)
    for (long at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer.data() + at);
      if (entry->name[0] >= '1' && entry->name[0] <= '9') pids.push_back(std::atoi(entry->name));
      at += entry->length;
    }
  close(directory);
  struct timespec time{};
  std::size_t sum = 0;
  for (const pid_t pid : pids) {
    clock_gettime(static_cast<clockid_t>((~static_cast<unsigned>(pid) << 3) | 2U), &time);
    sum += static_cast<std::size_t>(time.tv_nsec);
  }
  return sum + pids.size();
}

// `before` is not counted.
template <class Before, class Look>
double ns_per_look(Before before, Look look) {
  std::int64_t sum = 0;
  for (int i = 0; i < looks; ++i) {
    before();
    const auto begin = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    look();
    sum += clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begin;
  }
  return static_cast<double>(sum) / looks;
}

void give_birth() {
  const pid_t child = vfork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// CPU use of the follower by itself, at its own pace. Percent of a core.
double paced(Machine& machine, Duration ticks, int seconds) {
  FollowOptions options;
  options.each_process = true;
  options.ticks = ticks;
  auto all = parse_target_choice(SelectorKind::all, "");
  if (!all) std::exit(2);
  auto follower = ProcessFollower::create(machine, {std::move(*all)}, std::move(options));
  if (!follower) std::exit(2);
  std::vector<Reading> readings((*follower)->sensor().channels().size());
  const auto begin = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  const auto wall = clock_ns(CLOCK_MONOTONIC);
  std::vector<ProcessLook> taken;
  for (std::int64_t tick = 1; tick * ticks.ns <= seconds * 1'000'000'000LL; ++tick) {
    const auto wait = wall + tick * ticks.ns - clock_ns(CLOCK_MONOTONIC);
    if (wait > 0) usleep(static_cast<useconds_t>(wait / 1000));
    (*follower)->sensor().read(readings);
    if (tick * ticks.ns % 1'000'000'000 != 0) continue;
    give_birth();
    (*follower)->survey();
    taken.clear();
    (*follower)->take_looks(taken);
  }
  return static_cast<double>(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begin) * 100 /
         static_cast<double>(clock_ns(CLOCK_MONOTONIC) - wall);
}

double other_tool(const char* command) {
  FILE* pipe = popen(command, "r");
  if (pipe == nullptr) return 0;
  double ns = 0;
  if (std::fscanf(pipe, "%lf", &ns) != 1) ns = 0;
  pclose(pipe);
  return ns;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const int count = std::atoi(argv[1]), seconds = std::atoi(argv[2]);
  const auto children = make_sleepers(count);
  const auto machine = make_live_machine();
  std::vector<double> floor, full, quiet, ratio;
  {
    FollowOptions options;
    options.each_process = true;
    options.own_thread = false;
    options.look_period = {0};
    auto made = ProcessFollower::create(*machine, {}, std::move(options));
    if (!made) return 2;
    auto& follower = **made;
    std::vector<ProcessLook> taken;
    taken.reserve(64);
    std::vector<Reading> readings(follower.sensor().channels().size());
    for (int turn = 0; turn < turns; ++turn) {
      // Somebody is born before each look, so that it has to list; and without births of ours.
      const auto look = [&] { follower.sensor().read(readings); };
      floor.push_back(ns_per_look(give_birth, [] {
        volatile auto kept = floor_look();
        (void)kept;
      }));
      full.push_back(ns_per_look(give_birth, look));
      quiet.push_back(ns_per_look([] {}, look));
      taken.clear();
      follower.take_looks(taken);
      ratio.push_back(full.back() / floor.back());
    }
  }
  const double other = argc > 3 ? other_tool(argv[3]) : 0;
  const double share = paced(*machine, milliseconds(100), seconds), slow = paced(*machine, milliseconds(1000), seconds);
  std::printf(
      "{\"processes\": %d, \"floor_ns\": %.0f, \"look_ns\": %.0f, \"quiet_look_ns\": %.0f, \"ratio\": %.3f, "
      "\"other_ns\": %.0f, \"percent_at_10_hz\": %.3f, \"percent_at_1_hz\": %.3f, \"turns\": %d}\n",
      count, median(floor), median(full), median(quiet), median(ratio), other, share, slow, turns);
  for (const pid_t child : children) kill(child, SIGKILL);
  for (const pid_t child : children) waitpid(child, nullptr, 0);
  return 0;
}
