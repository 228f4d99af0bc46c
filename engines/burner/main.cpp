// prony-burner STEP_MS SHARE…: loads every CPU that this process may use with each share (0 to 100 percent) for so many
// milliseconds, one after another, and says when by spans of libprony ("step-50"). A share is kept within every 20 ms,
// so that sensors of any pace see its mean. It begins each span a while after the load, when clocks have followed.
#include <prony/prony.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr std::int64_t period_ns = 20'000'000, settle_ns = 300'000'000;

bool number(const char* text, long least, long most, long& value) {
  const char* end = text + std::strlen(text);
  const auto read = std::from_chars(text, end, value);
  return read.ec == std::errc() && read.ptr == end && value >= least && value <= most;
}

void sleep_until(std::int64_t at_ns) {
  const timespec until{static_cast<time_t>(at_ns / 1'000'000'000), static_cast<long>(at_ns % 1'000'000'000)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) != 0) {
  }
}

unsigned usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
  return static_cast<unsigned>(std::max(1, count));
}

void burn(const std::atomic<long>& share, const std::atomic<bool>& over) {
  volatile std::uint64_t sink = 1;
  while (!over) {
    const std::int64_t begin = prony_now_ns();
    const std::int64_t busy_until = begin + period_ns * share / 100;
    std::uint64_t x = sink;
    while (prony_now_ns() < busy_until)
      for (int i = 0; i < 2000; ++i) x = x * 6364136223846793005ULL + 1442695040888963407ULL;
    sink = x;
    if (busy_until < begin + period_ns) sleep_until(begin + period_ns);
  }
}

}  // namespace

int main(int argc, char** argv) {
  long step_ms = 0;
  std::vector<long> shares(static_cast<std::size_t>(std::max(0, argc - 2)));
  bool good = argc >= 3 && number(argv[1], 1, 86'400'000, step_ms);
  for (std::size_t i = 0; good && i < shares.size(); ++i) good = number(argv[i + 2], 0, 100, shares[i]);
  if (!good) {
    std::fprintf(stderr, "usage: prony-burner STEP_MS SHARE…   (shares in percent, 0 to 100)\n");
    return 2;
  }
  (void)prony_open(nullptr);
  std::atomic<long> share = 0;
  std::atomic<bool> over = false;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < usable_cpus(); ++i) threads.emplace_back([&] { burn(share, over); });
  for (const long next : shares) {
    share = next;
    sleep_until(prony_now_ns() + settle_ns);
    const std::int64_t begin = prony_now_ns();
    const std::string name = next == 0 ? "step-idle" : "step-" + std::to_string(next);
    const prony_span span = prony_span_begin(PRONY_PHASE, name.c_str(), 0);
    sleep_until(begin + step_ms * 1'000'000);
    prony_span_end(span, PRONY_OK);
  }
  over = true;
  for (std::thread& thread : threads) thread.join();
  prony_close();
  return 0;
}
