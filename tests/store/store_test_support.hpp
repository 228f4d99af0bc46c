// What the store's tests share: folders of their own, small plans of channels, a producer that writes a span ring by
// the letter of model/span_ring.hpp, and a small random source that is the same everywhere.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "model/span_ring.hpp"
#include "store/recorder.hpp"
#include "store/run.hpp"

namespace prony::test {

class Folder {
 public:
  explicit Folder(const char* base = nullptr) {
    std::string name =
        std::string(base != nullptr ? base : std::filesystem::temp_directory_path().c_str()) + "/prony-store-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ignored);
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path file(const char* name = "a.prony") const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// xorshift64*: no platform's library changes it.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1dULL;
  }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  // Sum of twelve uniforms: mean 0, standard deviation 1, near enough to normal.
  double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
  }

 private:
  std::uint64_t state_;
};

inline Channel energy_channel(std::uint32_t id, const std::string& name) {
  Channel channel;
  channel.id = {id};
  channel.name = name;
  channel.sensor = "rapl";
  channel.device = "intel-rapl:0";
  channel.domain = "package-0";
  channel.measure = Measure::energy;
  channel.kind = ChannelKind::counter;
  channel.scale = 1e-6;
  channel.range = 262143328850;
  channel.max_rate = 500;
  channel.update_period = milliseconds(1);
  channel.resolution = 61;
  return channel;
}

struct Plan {
  Manifest manifest;
  std::vector<Channel> channels;
  std::vector<Group> groups;
  Anchor anchor{{1'000'000'000}, 1'795'226'400'000'000'000, {120}};
};

// One fast group of `count` energy counters.
inline Plan fast_plan(std::uint32_t count, Duration interval = milliseconds(1)) {
  Plan plan;
  Group group{{1}, "fast", interval, {}};
  for (std::uint32_t c = 1; c <= count; ++c) {
    plan.channels.push_back(energy_channel(c, "rapl.package-" + std::to_string(c) + ".energy"));
    group.channels.push_back({c});
  }
  plan.groups.push_back(group);
  return plan;
}

inline TickBlock one_tick(GroupId group, std::int64_t at_ns, std::vector<Reading> readings) {
  TickBlock block(group, readings.size(), 1);
  block.push({at_ns}, {at_ns + 10'000}, readings);
  return block;
}

inline std::unique_ptr<Recorder> record(const std::filesystem::path& path, const Plan& plan,
                                        const RecorderOptions& options = {}) {
  auto recorder = Recorder::create(path, options);
  if (!recorder) {
    ADD_FAILURE() << recorder.error().what << " " << recorder.error().where;
    return nullptr;
  }
  const auto begun = (*recorder)->begin(plan.manifest, plan.channels, plan.groups, plan.anchor);
  EXPECT_TRUE(begun) << begun.error().what;
  return std::move(*recorder);
}

inline std::unique_ptr<Run> open_run(const std::filesystem::path& path) {
  auto run = Run::open(path);
  if (!run) {
    ADD_FAILURE() << run.error().what << " " << run.error().where;
    return nullptr;
  }
  return std::move(*run);
}

struct Tick {
  std::int64_t begin = 0, end = 0;
  std::vector<Reading> readings;
};
inline std::vector<Tick> ticks_of(const Run& run, GroupId group) {
  std::vector<Tick> ticks;
  const auto done = run.for_each_block(group, [&](const TickBlock& block) {
    for (std::size_t t = 0; t < block.ticks(); ++t) {
      Tick tick{block.begin(t).ns, block.end(t).ns, {}};
      for (std::size_t c = 0; c < block.channels(); ++c) tick.readings.push_back(block.reading(c, t));
      ticks.push_back(std::move(tick));
    }
    return true;
  });
  EXPECT_TRUE(done) << done.error().what;
  return ticks;
}

inline std::vector<char> bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}
inline void write_bytes(const std::filesystem::path& path, const std::vector<char>& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// A workload's side of the ring, small and literal.
class Producer {
 public:
  explicit Producer(const std::filesystem::path& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    EXPECT_GE(fd, 0);
    struct stat status{};
    ::fstat(fd, &status);
    size_ = static_cast<std::size_t>(status.st_size);
    base_ = static_cast<std::byte*>(::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    ::close(fd);
    ring_ = file().claimed.fetch_add(1);
    rings().pid.store(::getpid());
  }
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;
  ~Producer() { ::munmap(base_, size_); }

  ring::FileHeader& file() { return *reinterpret_cast<ring::FileHeader*>(base_); }
  ring::RingHeader& rings() {
    return *reinterpret_cast<ring::RingHeader*>(base_ + sizeof(ring::FileHeader) + ring_ * sizeof(ring::RingHeader));
  }
  ring::Slot& slot(std::uint64_t position) {
    const auto slots = file().slots_per_ring;
    return *reinterpret_cast<ring::Slot*>(base_ + ring::headers_bytes(file().ring_count) +
                                          (ring_ * slots + position % slots) * sizeof(ring::Slot));
  }
  std::uint64_t id(std::uint64_t n) const { return (static_cast<std::uint64_t>(ring_) + 1) << 40 | n; }

  bool put(ring::SlotType type, std::uint64_t span, std::uint16_t kind, std::int64_t time, std::int64_t value,
           std::uint64_t parent, std::string_view text, bool more = false) {
    const auto head = rings().head.load();
    if (head - rings().tail.load() == file().slots_per_ring) {
      rings().lost.fetch_add(1);
      return false;
    }
    auto& place = slot(head);
    place.time_ns = static_cast<std::uint64_t>(time);
    place.span = span;
    place.parent = parent;
    place.value = value;
    place.kind = kind;
    place.type = type;
    place.length = more ? 255 : static_cast<std::uint8_t>(text.size());
    std::memcpy(place.text, text.data(), std::min(text.size(), ring::slot_text_bytes));
    place.sequence.store(head + 1, std::memory_order_release);
    rings().head.store(head + 1, std::memory_order_release);
    return true;
  }
  void put_long(ring::SlotType type, std::uint64_t span, std::uint16_t kind, std::int64_t time, std::int64_t value,
                std::string_view text) {
    put(type, span, kind, time, value, 0, text.substr(0, 20), text.size() > 20);
    if (text.size() > 20) put_text(span, text.substr(20));
  }
  void put_text(std::uint64_t span, std::string_view text) {
    do {
      put(ring::SlotType::text, span, 0, 0, 0, 0, text.substr(0, 20), text.size() > 20);
      text.remove_prefix(std::min<std::size_t>(20, text.size()));
    } while (!text.empty());
  }
  void begin(std::uint64_t n, SpanKind kind, std::int64_t at, std::string_view name, std::uint64_t parent = 0) {
    put(ring::SlotType::begin, id(n), static_cast<std::uint16_t>(kind), at, 0, parent, name);
  }
  void end(std::uint64_t n, std::int64_t at) { put(ring::SlotType::end, id(n), 0, at, 0, 0, ""); }
  void count(std::uint64_t n, std::string_view key, std::int64_t value) {
    put(ring::SlotType::count, id(n), 0, 0, value, 0, key);
  }
  void attribute(std::uint64_t n, std::string_view key, std::string_view value) {
    put_long(ring::SlotType::attribute, id(n), 0, 0, 0, key);
    put_text(id(n), value);
  }

 private:
  std::byte* base_ = nullptr;
  std::size_t size_ = 0;
  std::uint32_t ring_ = 0;
};

}  // namespace prony::test
