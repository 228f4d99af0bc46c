// A span file and a consumer of it, as the recorder would make them: the other end of libprony for its tests.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "model/span_ring.hpp"

namespace prony::test {

struct Record {
  ring::SlotType type{};
  std::uint64_t span = 0, parent = 0, time_ns = 0;
  std::int64_t value = 0;
  std::uint16_t kind = 0;
  std::string text;  // name or key
  std::string value_text;
  std::uint32_t ring = 0;
};

class RingFile {
 public:
  explicit RingFile(std::uint32_t rings = 4, std::uint32_t slots = 1024) : rings_(rings), slots_(slots) {
    path_ = (std::filesystem::temp_directory_path() / "prony-ring-XXXXXX").string();
    const int fd = mkstemp(path_.data());
    map(fd);
  }
  RingFile(const std::string& path, std::uint32_t rings, std::uint32_t slots)
      : path_(path), rings_(rings), slots_(slots) {
    map(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  }
  ~RingFile() {
    header().recording.store(0);
    munmap(base_, bytes_);
    unlink(path_.c_str());
  }
  RingFile(const RingFile&) = delete;
  RingFile& operator=(const RingFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] ring::FileHeader& header() const { return *reinterpret_cast<ring::FileHeader*>(base_); }
  [[nodiscard]] ring::RingHeader& ring(std::uint32_t r) const {
    return reinterpret_cast<ring::RingHeader*>(base_ + sizeof(ring::FileHeader))[r];
  }
  [[nodiscard]] ring::Slot& slot(std::uint32_t r, std::uint64_t index) const {
    auto* all = reinterpret_cast<ring::Slot*>(base_ + ring::headers_bytes(rings_));
    return all[std::size_t{r} * slots_ + index % slots_];
  }
  [[nodiscard]] std::uint64_t lost() const {
    std::uint64_t sum = 0;
    for (std::uint32_t r = 0; r < rings_; ++r) sum += ring(r).lost.load();
    return sum;
  }

  // Takes every whole record; `broken` counts slots whose sequence or order is not what the format says.
  std::vector<Record> drain(std::uint64_t* broken = nullptr) {
    std::vector<Record> out;
    for (std::uint32_t r = 0; r < rings_; ++r) drain_ring(r, out, broken);
    return out;
  }

 private:
  void map(int fd) {
    bytes_ = static_cast<std::size_t>(ring::file_bytes(rings_, slots_));
    if (ftruncate(fd, static_cast<off_t>(bytes_)) != 0) std::abort();
    base_ = static_cast<char*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    if (base_ == MAP_FAILED) std::abort();
    close(fd);
    header().version = ring::version;
    header().ring_count = rings_;
    header().slots_per_ring = slots_;
    header().recording.store(1);
    header().magic.store(ring::magic);
  }

  static std::size_t used(const ring::Slot& s) { return s.length == 255 ? ring::slot_text_bytes : s.length; }

  // Reads the rest of a text whose last slot read was `s`.
  void rest_of_text(std::uint32_t r, std::uint64_t& at, std::uint64_t head, std::uint8_t length, std::string& text,
                    std::uint64_t* broken) {
    while (length == 255 && at < head) {
      const ring::Slot& more = slot(r, at);
      if (broken != nullptr && (more.sequence.load() != at + 1 || more.type != ring::SlotType::text)) ++*broken;
      text.append(more.text, used(more));
      length = more.length;
      ++at;
    }
  }

  void drain_ring(std::uint32_t r, std::vector<Record>& out, std::uint64_t* broken) {
    std::uint64_t at = ring(r).tail.load(std::memory_order_relaxed);
    const std::uint64_t head = ring(r).head.load(std::memory_order_acquire);
    while (at < head) {
      const ring::Slot& s = slot(r, at);
      if (broken != nullptr && (s.sequence.load() != at + 1 || s.type == ring::SlotType::text)) ++*broken;
      Record record{s.type, s.span, s.parent, s.time_ns, s.value, s.kind, std::string(s.text, used(s)), {}, r};
      const auto length = s.length;
      ++at;
      rest_of_text(r, at, head, length, record.text, broken);
      if (record.type == ring::SlotType::attribute) rest_of_text(r, at, head, 255, record.value_text, broken);
      out.push_back(std::move(record));
    }
    ring(r).tail.store(at, std::memory_order_release);
  }

  std::string path_;
  std::uint32_t rings_, slots_;
  char* base_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace prony::test
