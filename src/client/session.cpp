#include "client/session.hpp"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

namespace prony::client {
namespace {

// Since Linux 5.14; older C libraries do not name it.
constexpr int populate_write = 23;

// Makes the pages behind [begin, begin + bytes) real. The span file is sparse: on a full disk, a store into a hole
// would kill the program that we are a guest of with SIGBUS, so the space is asked for before the first store, where a
// refusal is an error code. Returns 0 or −errno; EINVAL: this kernel cannot.
int make_real(void* begin, std::size_t bytes) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto from = reinterpret_cast<std::uintptr_t>(begin) / page * page;
  const auto to = (reinterpret_cast<std::uintptr_t>(begin) + bytes + page - 1) / page * page;
  if (madvise(reinterpret_cast<void*>(from), to - from, populate_write) == 0) return 0;
  return -errno;
}

struct Shape {
  std::uint32_t rings = 0, slots = 0;
};

// Everything in the file is foreign until checked here.
int check_header(const ring::FileHeader& header, std::uint64_t file_size, Shape& shape) {
  if (header.magic.load(std::memory_order_acquire) != ring::magic) return -EINVAL;
  if (header.version != ring::version) return -EPROTO;
  shape = {header.ring_count, header.slots_per_ring};  // copied once: the file can change under us
  if (shape.rings == 0 || shape.rings > most_rings || shape.slots < 2 || shape.slots > most_slots) return -EINVAL;
  if (file_size < ring::file_bytes(shape.rings, shape.slots)) return -EINVAL;
  return 0;
}

int map_file(int fd, std::uint64_t file_size, char** base, Shape& shape) {
  void* header = mmap(nullptr, sizeof(ring::FileHeader), PROT_READ, MAP_SHARED, fd, 0);
  if (header == MAP_FAILED) return -errno;
  const int bad = check_header(*static_cast<const ring::FileHeader*>(header), file_size, shape);
  munmap(header, sizeof(ring::FileHeader));
  if (bad != 0) return bad;
  const std::uint64_t wanted = ring::file_bytes(shape.rings, shape.slots);
  if (!std::in_range<std::size_t>(wanted)) return -ENOMEM;  // more than a 32-bit program can map
  const auto bytes = static_cast<std::size_t>(wanted);
  void* all = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (all == MAP_FAILED) return -errno;
  int error = make_real(all, ring::headers_bytes(shape.rings));
  if (error == -EINVAL) {
    // An old kernel: ask the file system for all of the file now. One that cannot say (EOPNOTSUPP) stays sparse.
    error = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) == 0 || errno == EOPNOTSUPP ? 0 : -errno;
  }
  if (error != 0) {
    munmap(all, bytes);
    return error == -EFAULT ? -ENOSPC : error;  // EFAULT is how madvise says "this store would have been a SIGBUS"
  }
  *base = static_cast<char*>(all);
  return 0;
}

int open_fd(int fd, Session* known, Session** out) {
  struct stat info{};
  if (fstat(fd, &info) != 0) return -errno;
  if (!S_ISREG(info.st_mode)) return -EINVAL;
  for (Session* session = known; session != nullptr; session = session->next) {
    if (session->device == info.st_dev && session->inode == info.st_ino) {
      *out = session;
      return 0;
    }
  }
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size < sizeof(ring::FileHeader)) return -EINVAL;
  auto* session = static_cast<Session*>(calloc(1, sizeof(Session)));
  if (session == nullptr) return -ENOMEM;
  char* base = nullptr;
  Shape shape;
  const int error = map_file(fd, size, &base, shape);
  if (error != 0) {
    free(session);
    return error;
  }
  session->file = reinterpret_cast<ring::FileHeader*>(base);
  session->rings = reinterpret_cast<ring::RingHeader*>(base + sizeof(ring::FileHeader));
  session->slots = reinterpret_cast<ring::Slot*>(base + ring::headers_bytes(shape.rings));
  session->ring_count = shape.rings;
  session->slots_per_ring = shape.slots;
  session->device = info.st_dev;
  session->inode = info.st_ino;
  *out = session;
  return 0;
}

std::int64_t take_free_ring(Session& session) {
  for (std::uint32_t word = 0; word * 64 < session.ring_count; ++word) {
    std::uint64_t bits = session.free_rings[word].load(std::memory_order_relaxed);
    while (bits != 0) {
      const auto bit = static_cast<std::uint32_t>(__builtin_ctzll(bits));
      // acquire: the ended thread's last stores to the ring happen before ours
      if (session.free_rings[word].compare_exchange_weak(bits, bits & (bits - 1), std::memory_order_acquire)) {
        return word * 64 + bit;
      }
    }
  }
  return -1;
}

std::int64_t claim_new_ring(Session& session) {
  // Not a plain fetch_add: many late threads must not carry `claimed` past what the consumer expects.
  std::uint32_t ring = session.file->claimed.load(std::memory_order_relaxed);
  do {
    if (ring >= session.ring_count) return -1;
  } while (!session.file->claimed.compare_exchange_weak(ring, ring + 1, std::memory_order_acq_rel));
  return ring;
}

}  // namespace

int open_session(const char* path, Session* known, Session** out) {
  const int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);  // NONBLOCK: never hang on a FIFO
  if (fd < 0) return -errno;
  const int error = open_fd(fd, known, out);
  close(fd);
  return error;
}

std::int64_t claim_ring(Session& session) {
  std::int64_t ring = take_free_ring(session);
  if (ring < 0) {
    ring = claim_new_ring(session);
    if (ring >= 0) {
      ring::Slot* slots = session.slots + static_cast<std::size_t>(ring) * session.slots_per_ring;
      const int error = make_real(slots, session.slots_per_ring * sizeof(ring::Slot));
      if (error != 0 && error != -EINVAL) ring = -1;
    }
  }
  if (ring < 0) {
    session.file->rejected.fetch_add(1, std::memory_order_relaxed);
    return -1;
  }
  ring::RingHeader& header = session.rings[ring];
  header.pid.store(getpid(), std::memory_order_relaxed);
  header.thread.store(syscall(SYS_gettid), std::memory_order_relaxed);
  return ring;
}

void give_back_ring(Session& session, std::uint32_t ring) {
  session.free_rings[ring / 64].fetch_or(std::uint64_t{1} << (ring % 64), std::memory_order_release);
}

void forget_free_rings(Session& session) {
  for (auto& word : session.free_rings) word.store(0, std::memory_order_relaxed);
}

}  // namespace prony::client
