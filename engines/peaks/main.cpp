// prony-peaks THREADS SECONDS: what this machine computes and reads at most, by three loops of so many seconds each, on
// so many threads at once (0: one on each CPU that this process may use); prints one JSON object.
//   flop         multiply-adds of 32-bit numbers in registers
//   read_bytes   an array summed up, four times as large as the last cache at least: what making a token does to
//   weights triad_bytes  a = b + s · c over arrays of such size, 24 bytes an element
// The best of the repetitions is the peak, as STREAM takes it (McCalpin 1995); the middle one says how steady it was.
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "multiply_add.hpp"

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::int64_t least_array = 64 << 20, usual_array = 128 << 20;
constexpr std::size_t least_repetitions = 5, most_repetitions = 10'000;
constexpr double round_s = 0.005;  // of the loop in registers

bool number(const char* text, double least, double most, double& value) {
  const char* end = text + std::strlen(text);
  const auto read = std::from_chars(text, end, value);
  return read.ec == std::errc() && read.ptr == end && value >= least && value <= most;
}

int usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

// The largest cache of the first CPU, in bytes; 0: not told.
std::int64_t last_cache_bytes() {
  std::int64_t largest = 0;
  for (int index = 0; index < 10; ++index) {
    std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/size");
    std::int64_t size = 0;
    char unit = 0;
    if (!(file >> size) || size <= 0 || size > (1 << 30)) continue;
    file >> unit;
    largest = std::max(largest, size << (unit == 'M' ? 20 : unit == 'K' ? 10 : 0));
  }
  return largest;
}

// Of the memory that is free now, three arrays may take a quarter.
std::int64_t array_bytes(std::int64_t cache) {
  std::int64_t wanted = cache > 0 ? std::max(least_array, 4 * cache) : usual_array;
  const long pages = sysconf(_SC_AVPHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0) wanted = std::min(wanted, std::int64_t{pages} * page / 12);
  return std::max<std::int64_t>(wanted, 1 << 20) / 4096 * 4096;
}

struct Result {
  double best = 0, median = 0;
  std::size_t repetitions = 0;
};

// Each thread does `work(thread)` at once with the others, again and again; `amount`: what all do of it together.
Result repeat(int threads, double seconds, double amount, const std::function<void(int)>& work) {
  std::vector<double> rates;
  bool over = false;
  Clock::time_point begin,
      end_of_all = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  bool first = true;
  const auto between = [&]() noexcept {
    const auto now = Clock::now();
    if (!first) rates.push_back(amount / std::chrono::duration<double>(now - begin).count());
    first = false;
    over = (now >= end_of_all && rates.size() >= least_repetitions) || rates.size() >= most_repetitions;
    begin = now;
  };
  rates.reserve(most_repetitions + 1);
  std::barrier together(threads, between);
  const auto run = [&](int thread) {
    work(thread);  // once before: pages are there, clocks have risen
    together.arrive_and_wait();
    while (!over) {
      work(thread);
      together.arrive_and_wait();
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(run, i);
  run(0);
  for (std::thread& other : others) other.join();
  std::sort(rates.begin(), rates.end());
  return {rates.back(), rates[rates.size() / 2], rates.size()};
}

Result compute(int threads, double seconds, const peaks::MultiplyAdd& loop) {
  volatile float sink = 0;
  std::int64_t rounds = 1000;
  for (;;) {
    const auto begin = Clock::now();
    sink = loop.run(rounds);
    if (std::chrono::duration<double>(Clock::now() - begin).count() >= round_s) break;
    rounds *= 2;
  }
  std::vector<float> sinks(static_cast<std::size_t>(threads) * 64);  // 256 bytes apart: no line is shared
  const double flop = static_cast<double>(rounds) * static_cast<double>(loop.flop_per_round) * threads;
  const Result result =
      repeat(threads, seconds, flop, [&](int i) { sinks[static_cast<std::size_t>(i) * 64] = loop.run(rounds); });
  sink = sinks[0];
  (void)sink;
  return result;
}

struct Arrays {
  std::size_t count;  // numbers in each
  std::unique_ptr<double[]> a, b, c;
};

// The part of an array that is a thread's own: it writes it first, so that it lies near.
std::pair<std::size_t, std::size_t> part_of(const Arrays& arrays, int thread, int threads) {
  const auto i = static_cast<std::size_t>(thread), n = static_cast<std::size_t>(threads);
  return {arrays.count / n * i, i + 1 == n ? arrays.count : arrays.count / n * (i + 1)};
}

Result read_all(int threads, double seconds, const Arrays& arrays) {
  std::vector<std::uint64_t> sinks(static_cast<std::size_t>(threads) * 32);
  return repeat(threads, seconds, static_cast<double>(arrays.count) * 8, [&](int thread) {
    const auto [from, to] = part_of(arrays, thread, threads);
    std::uint64_t sum = 0;
    for (std::size_t i = from; i < to; ++i) {
      std::uint64_t bits = 0;
      std::memcpy(&bits, &arrays.b[i], sizeof bits);
      sum += bits;
    }
    volatile std::uint64_t& sink = sinks[static_cast<std::size_t>(thread) * 32];
    sink = sum;
  });
}

Result triad(int threads, double seconds, Arrays& arrays) {
  return repeat(threads, seconds, static_cast<double>(arrays.count) * 24, [&](int thread) {
    const auto [from, to] = part_of(arrays, thread, threads);
    double* __restrict a = arrays.a.get();
    const double* __restrict b = arrays.b.get();
    const double* __restrict c = arrays.c.get();
    for (std::size_t i = from; i < to; ++i) a[i] = b[i] + 3.0 * c[i];
  });
}

void fill(Arrays& arrays, int threads) {
  const auto run = [&](int thread) {
    const auto [from, to] = part_of(arrays, thread, threads);
    for (std::size_t i = from; i < to; ++i) arrays.a[i] = 0, arrays.b[i] = 1, arrays.c[i] = 2;
  };
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) all.emplace_back(run, i);
  for (std::thread& one : all) one.join();
}

void print(const char* name, const Result& result) {
  std::printf("\"%s\":{\"best_per_s\":%.6e,\"median_per_s\":%.6e,\"repetitions\":%zu},", name, result.best,
              result.median, result.repetitions);
}

int measure(int threads, double seconds) {
  const std::int64_t cache = last_cache_bytes(), bytes = array_bytes(cache);
  const auto count = static_cast<std::size_t>(bytes / 8);
  Arrays arrays{count, std::unique_ptr<double[]>(new double[count]), std::unique_ptr<double[]>(new double[count]),
                std::unique_ptr<double[]>(new double[count])};
  fill(arrays, threads);
  const peaks::MultiplyAdd loop = peaks::best_multiply_add();
  const Result read = read_all(threads, seconds, arrays), three = triad(threads, seconds, arrays);
  const Result flop = compute(threads, seconds, loop);
  if (arrays.a[count / 2] != 7) {
    std::fprintf(stderr, "prony-peaks: the arrays do not hold what was computed\n");
    return 1;
  }
  std::printf("{\"format\":\"prony.peaks/1\",");
  print("flop", flop), print("read_bytes", read), print("triad_bytes", three);
  if (cache > 0) std::printf("\"cache_bytes\":%lld,", static_cast<long long>(cache));
  std::printf("\"array_bytes\":%lld,\"threads\":%d,\"instructions\":\"%.*s\"}\n", static_cast<long long>(bytes),
              threads, static_cast<int>(loop.instructions.size()), loop.instructions.data());
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  double threads = 0, seconds = 0;
  if (argc != 3 || !number(argv[1], 0, 4096, threads) || !number(argv[2], 0.001, 3600, seconds)) {
    std::fprintf(stderr, "usage: prony-peaks THREADS SECONDS   (0 threads: one on each CPU)\n");
    return 2;
  }
  try {
    return measure(threads >= 1 ? static_cast<int>(threads) : usable_cpus(), seconds);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "prony-peaks: there is no memory for the arrays\n");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "prony-peaks: %s\n", error.what());
  }
  return 1;
}
