// parts: store
// Any bytes as a span file: others can write it, so nothing in it may crash the meter or make it read beyond.
// The input is laid over a file of the right size with a valid head, so that the slots are reached.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "model/span_ring.hpp"
#include "store/span_consumer.hpp"

namespace {

constexpr std::uint32_t rings = 2, slots = 32;

// head | ring headers | slots, as far as the input reaches; the first byte says whether the head is the input's own.
std::vector<std::uint8_t> file_of(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> bytes(prony::ring::file_bytes(rings, slots));
  const bool own_head = size > 0 && data[0] % 8 == 0;
  if (own_head) {
    std::memcpy(bytes.data(), data + 1, std::min(size - 1, bytes.size()));
    return bytes;
  }
  const std::uint64_t magic = prony::ring::magic;
  const std::uint32_t numbers[] = {prony::ring::version, rings, slots, rings};
  std::memcpy(bytes.data(), &magic, sizeof magic);
  std::memcpy(bytes.data() + sizeof magic, numbers, sizeof numbers);
  if (size < 2) return bytes;
  const std::uint64_t heads[] = {data[1], static_cast<std::uint64_t>(data[1]) * 7};
  for (std::size_t ring = 0; ring < rings; ++ring)
    std::memcpy(bytes.data() + sizeof(prony::ring::FileHeader) + ring * sizeof(prony::ring::RingHeader), &heads[ring],
                8);
  std::uint8_t* slot = bytes.data() + prony::ring::headers_bytes(rings);
  std::memcpy(slot, data + 2, std::min<std::size_t>(size - 2, std::size_t{rings} * slots * sizeof(prony::ring::Slot)));
  // Half of the slots are made whole, so that what they say is believed far enough to be parsed.
  for (std::uint64_t index = 0; index < std::uint64_t{rings} * slots; ++index) {
    const std::uint64_t sequence = index % slots + 1;
    if (data[0] & 1) std::memcpy(slot + index * sizeof(prony::ring::Slot), &sequence, sizeof sequence);
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string path = "/dev/shm/prony-fuzz-ring-" + std::to_string(::getpid());
  const auto bytes = file_of(data, size);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || ::write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
  ::close(fd);
  auto consumer = prony::SpanConsumer::open(path, true);
  if (consumer) {
    std::size_t changes = 0;
    const auto sink = [&](const prony::SpanChange& change) -> prony::Result<void> {
      if (change.text.size() > prony::span_text_limit || change.key.size() > prony::span_text_limit) std::abort();
      if (++changes > 4 * rings * slots) std::abort();  // more said than there are slots: it goes round in circles
      return {};
    };
    (void)consumer->drain(sink);
    consumer->publish();
    (void)consumer->finish(sink);
    (void)consumer->losses();
  }
  ::unlink(path.c_str());
  return 0;
}
