#include "burner.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

namespace prony::testing_process {

namespace {

long clock_ns(clockid_t clock) {
  struct timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

void burn_until(clockid_t clock, long ns) {
  volatile unsigned long sink = 0;
  while (clock_ns(clock) < ns)
    for (int i = 0; i < 2000; ++i) sink = sink + static_cast<unsigned long>(i);
}

[[noreturn]] void end() {
  const std::string line = std::to_string(clock_ns(CLOCK_PROCESS_CPUTIME_ID)) + "\n";
  const int fd = ::open(std::getenv("PRONY_BURNER_TRUTH"), O_WRONLY | O_APPEND | O_CREAT, 0666);
  if (::write(fd, line.data(), line.size()) < 0) ::_exit(99);
  ::_exit(0);
}

void pause_s(int seconds) {
  const struct timespec time{seconds, 0};
  ::nanosleep(&time, nullptr);
}

// Runs `body` in a grandchild whose parent is gone. The pipe's end of file tells its end.
template <class Body>
int orphan(Body body) {
  int ends[2];
  if (::pipe(ends) != 0) ::_exit(98);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::fork() == 0) {
      ::close(ends[0]);
      body();
      end();
    }
    end();
  }
  ::waitpid(child, nullptr, 0);
  ::close(ends[1]);
  return ends[0];
}

void wait_for_end_of(int pipe) {
  char byte = 0;
  while (::read(pipe, &byte, 1) > 0) {
  }
}

void sequence(int count, long each_ns) {
  for (int i = 0; i < count; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      burn_ns(each_ns);
      end();
    }
    ::waitpid(child, nullptr, 0);
  }
}

void auto_reap() {
  ::signal(SIGCHLD, SIG_IGN);
  for (int i = 0; i < 20; ++i) {
    int ends[2];
    if (::pipe(ends) != 0) ::_exit(98);
    if (::fork() == 0) {
      burn_ns(20'000'000);
      end();
    }
    ::close(ends[1]);
    wait_for_end_of(ends[0]);
    ::close(ends[0]);
  }
}

void threads() {
  std::vector<std::thread> all;
  for (int i = 0; i < 4; ++i)
    all.emplace_back([] { burn_until(CLOCK_THREAD_CPUTIME_ID, clock_ns(CLOCK_THREAD_CPUTIME_ID) + 60'000'000); });
  for (auto& thread : all) thread.join();
}

void memory() {
  std::vector<char> bytes(64 * 1024 * 1024, 'x');
  const auto until = clock_ns(CLOCK_MONOTONIC) + 300'000'000;
  while (clock_ns(CLOCK_MONOTONIC) < until) ::usleep(2000);
  if (bytes[static_cast<std::size_t>(::getpid())] != 'x') ::_exit(97);
}

void sleep_tree() {
  orphan([] { pause_s(30); });
  if (::fork() == 0) {
    if (::fork() == 0) pause_s(30);
    pause_s(30);
  }
  pause_s(30);
}

void run_burner() {
  const char* mode = std::getenv("PRONY_BURNER");
  if (mode == nullptr) return;
  const std::string name(mode);
  if (name == "sequence") sequence(200, 5'000'000);
  if (name == "double-fork") wait_for_end_of(orphan([] { burn_ns(150'000'000); }));
  if (name == "threads") threads();
  if (name == "auto-reap") auto_reap();
  if (name == "memory") memory();
  if (name == "leave") orphan([] { burn_ns(400'000'000); });
  if (name == "sleep-tree") sleep_tree();
  end();
}

[[maybe_unused]] const bool burned = (run_burner(), true);

}  // namespace

void burn_ns(long ns) { burn_until(CLOCK_PROCESS_CPUTIME_ID, clock_ns(CLOCK_PROCESS_CPUTIME_ID) + ns); }

SpawnOptions burner(const std::string& mode, const std::string& truth_file) {
  SpawnOptions options;
  options.arguments = {"/proc/self/exe"};
  options.environment = {{"PRONY_BURNER", mode}, {"PRONY_BURNER_TRUTH", truth_file}};
  options.hold = true;
  return options;
}

double cost_of_an_end_s() {
  double most = 0;
  for (int i = 0; i < 8; ++i) {
    int ends[2];
    if (::pipe(ends) != 0) return most;
    const pid_t child = ::fork();
    if (child == 0) {
      const long clock = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
      ::_exit(::write(ends[1], &clock, sizeof clock) == sizeof clock ? 0 : 1);
    }
    rusage used{};
    ::wait4(child, nullptr, 0, &used);
    long clock = 0;
    if (::read(ends[0], &clock, sizeof clock) == sizeof clock)
      most = std::max(most, static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                                1e-6 * static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) -
                                1e-9 * static_cast<double>(clock));
    ::close(ends[0]);
    ::close(ends[1]);
  }
  return most;
}

double truth_s(const std::string& truth_file) {
  std::ifstream file(truth_file);
  double sum = 0;
  for (long ns = 0; file >> ns;) sum += static_cast<double>(ns) * 1e-9;
  return sum;
}

}  // namespace prony::testing_process
