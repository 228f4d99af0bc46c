// parts: client
// Any bytes as the span file that PRONY_SPANS names: libprony is a guest in somebody's program, so it refuses what is
// not one, and what it accepts is mapped whole: every byte of every ring can be written.
// Input: how the file's length differs from what its head claims, how many rings are claimed at once, then the head,
// whose magic and version are put right by the first byte so that the numbers behind them are reached.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "client/session.hpp"

namespace {

using namespace prony;

constexpr std::uint64_t largest_file = 1U << 20;  // a thread that claims a ring makes all of it real

void use(client::Session& session, unsigned threads) {
  if (session.ring_count == 0 || session.ring_count > client::most_rings || session.slots_per_ring < 2) std::abort();
  const auto ring_bytes = session.slots_per_ring * sizeof(ring::Slot);
  for (unsigned i = 0; i < threads; ++i) {
    const auto ring = client::claim_ring(session);
    if (ring < 0) break;
    if (ring >= session.ring_count) std::abort();
    std::memset(static_cast<void*>(session.slots + static_cast<std::size_t>(ring) * session.slots_per_ring), 0x5a,
                ring_bytes);
    if (i % 2 == 0) client::give_back_ring(session, static_cast<std::uint32_t>(ring));
  }
  client::forget_free_rings(session);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  ring::FileHeader head{};
  std::memcpy(static_cast<void*>(&head), data + 2, std::min(size - 2, sizeof head));
  if (data[0] & 1) head.magic = ring::magic;
  if (data[0] & 2) head.version = ring::version;
  if (data[0] & 4) head.ring_count %= 16, head.slots_per_ring %= 128;
  const std::uint64_t claimed = ring::file_bytes(head.ring_count, head.slots_per_ring);
  const std::uint64_t lengths[] = {claimed, claimed - 1, claimed + 1, sizeof head, sizeof head - 1, 0, size - 2, 8192};
  const std::uint64_t length = std::min(lengths[data[0] / 8 % 8], largest_file);
  static const std::string path = "/dev/shm/prony-fuzz-client-" + std::to_string(::getpid());
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || ::write(fd, &head, sizeof head) != static_cast<ssize_t>(sizeof head)) std::abort();
  if (::ftruncate(fd, static_cast<off_t>(length)) != 0) std::abort();
  ::close(fd);
  client::Session* session = nullptr;
  const int error = client::open_session(path.c_str(), nullptr, &session);
  if (error > 0 || (error == 0) != (session != nullptr)) std::abort();
  if (error == 0) {
    if (length < claimed || head.magic != ring::magic || head.version != ring::version) std::abort();
    client::Session* again = nullptr;
    if (client::open_session(path.c_str(), session, &again) != 0 || again != session) std::abort();
    use(*session, data[1] % 32);
    // Never undone in a program, where another thread may be writing; here there is none.
    ::munmap(session->file, static_cast<std::size_t>(claimed));
    ::free(session);
  }
  ::unlink(path.c_str());
  return 0;
}
