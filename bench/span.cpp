// bench_span FILE-or-nothing: ns of one begin + end, median of 21 rounds. FILE is made as a span file and drained here.
#include <prony/prony.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "floor.hpp"
#include "model/span_ring.hpp"

namespace {

using namespace prony;

char* make_span_file(const char* path) {
  const std::size_t bytes = ring::file_bytes(4, ring::default_slots_per_ring);
  const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) std::exit(2);
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) std::exit(2);
  auto& header = *static_cast<ring::FileHeader*>(base);
  header.version = ring::version;
  header.ring_count = 4;
  header.slots_per_ring = ring::default_slots_per_ring;
  header.recording.store(1);
  header.magic.store(ring::magic);
  return static_cast<char*>(base);
}

}  // namespace

int main(int argc, char** argv) {
  ring::RingHeader* ring = nullptr;
  if (argc == 2) {
    ring = reinterpret_cast<ring::RingHeader*>(make_span_file(argv[1]) + sizeof(ring::FileHeader));
    if (prony_open(argv[1]) != 0) return 2;
  }
  std::vector<double> rounds;
  for (int round = 0; round < 21; ++round) {
    constexpr int pairs = 8000;  // two slots each: fits into a ring, so nothing is dropped
    const std::int64_t from = bench::clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < pairs; ++i) prony_span_end(prony_span_begin(PRONY_REQUEST, "request-17", 0), PRONY_OK);
    rounds.push_back(static_cast<double>(bench::clock_ns(CLOCK_MONOTONIC) - from) / pairs);
    if (ring != nullptr) ring->tail.store(ring->head.load());
  }
  std::sort(rounds.begin(), rounds.end());
  std::printf("{\"begin_end_ns\": %.1f, \"lost\": %llu}\n", rounds[rounds.size() / 2],
              static_cast<unsigned long long>(ring != nullptr ? ring->lost.load() : 0));
}
