#include "store/span_consumer.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

namespace prony {
namespace {

constexpr std::uint32_t most_rings = 4096;
constexpr std::uint32_t most_slots = 1U << 20;
// Disk space is taken this many rings ahead of the producers: a write to a hole of a full disk would kill them
// (SIGBUS).
constexpr std::uint32_t rings_ahead = 2;

bool take_lock(const Fd& fd) noexcept {
  int result = -1;
  do {
    result = ::flock(fd.get(), LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

// 0 or an errno. File systems that cannot reserve (EOPNOTSUPP) count as done.
int reserve(const Fd& fd, std::size_t from, std::size_t bytes) noexcept {
  if (::fallocate(fd.get(), 0, static_cast<off_t>(from), static_cast<off_t>(bytes)) == 0) return 0;
  return errno == EOPNOTSUPP || errno == ENOSYS || errno == EINTR ? 0 : errno;
}

// Not valid where the kernel or a limit (fs.inotify.max_user_instances) refuses.
Fd watch_for_opening(const std::string& path) noexcept {
  Fd watch(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (watch.valid() && ::inotify_add_watch(watch.get(), path.c_str(), IN_OPEN | IN_ONESHOT) < 0) watch.reset();
  return watch;
}

}  // namespace

Result<SpanConsumer> SpanConsumer::create(const std::filesystem::path& path) {
  const auto where = path.string();
  auto fd = Fd::open(where, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (!fd) return Unexpected<Error>(fd.error());
  SpanConsumer consumer;
  consumer.fd_ = std::move(*fd);
  consumer.ring_count_ = ring::default_ring_count;
  consumer.slots_ = ring::default_slots_per_ring;
  const auto give_up = [&](int reason, const char* what) {
    ::unlink(where.c_str());
    return Unexpected<Error>(error_from_errno(reason, where, what));
  };
  // Some network file systems have no locks: then only the process id in the Run tells that somebody records.
  if (!take_lock(consumer.fd_) && errno == EWOULDBLOCK) return give_up(errno, "cannot lock the span file");
  constexpr std::size_t size{ring::file_bytes(ring::default_ring_count, ring::default_slots_per_ring)};
  if (::ftruncate(consumer.fd_.get(), static_cast<off_t>(size)) != 0)
    return give_up(errno, "cannot size the span file");
  const auto ahead = ring::headers_bytes(consumer.ring_count_) + rings_ahead * consumer.slots_ * sizeof(ring::Slot);
  if (const int reason = reserve(consumer.fd_, 0, ahead); reason != 0)
    return give_up(reason, "no room for the span file");
  consumer.reserved_ = rings_ahead;
  auto mapping = Mapping::map(consumer.fd_, size, true);
  if (!mapping) {
    ::unlink(where.c_str());
    mapping.error().where = where;
    return Unexpected<Error>(mapping.error());
  }
  consumer.mapping_ = std::move(*mapping);
  consumer.writable_ = true;
  consumer.rings_.resize(consumer.ring_count_);
  auto& header = consumer.header();
  header.version = ring::version;
  header.ring_count = consumer.ring_count_;
  header.slots_per_ring = consumer.slots_;
  header.recording.store(1, std::memory_order_relaxed);
  header.magic.store(ring::magic, std::memory_order_release);
  return consumer;
}

Result<SpanConsumer> SpanConsumer::open(const std::filesystem::path& path, bool writable) {
  auto fd = Fd::open(path.string(), (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW);
  if (!fd) return Unexpected<Error>(fd.error());
  SpanConsumer consumer;
  consumer.fd_ = std::move(*fd);
  if (auto attached = consumer.attach(writable); !attached) {
    attached.error().where = path.string();
    return Unexpected<Error>(attached.error());
  }
  return consumer;
}

Result<void> SpanConsumer::attach(bool writable) {
  if (!take_lock(fd_) && errno == EWOULDBLOCK)
    return fail(ErrorCode::transient, "the span file is in use by a recorder");
  struct stat status{};
  if (::fstat(fd_.get(), &status) != 0) return Unexpected<Error>(error_from_errno(errno, {}, "cannot stat"));
  const auto size = static_cast<std::uint64_t>(std::max<off_t>(0, status.st_size));
  if (!S_ISREG(status.st_mode) || size < sizeof(ring::FileHeader))
    return fail(ErrorCode::malformed, "not a span file: too short");
  {
    auto head = Mapping::map(fd_, sizeof(ring::FileHeader), false);
    if (!head) return Unexpected<Error>(head.error());
    const auto* file = reinterpret_cast<const ring::FileHeader*>(head->bytes().data());
    if (file->magic.load(std::memory_order_acquire) != ring::magic || file->version != ring::version)
      return fail(ErrorCode::malformed, "not a span file of this version");
    ring_count_ = file->ring_count;
    slots_ = file->slots_per_ring;
  }
  if (ring_count_ == 0 || ring_count_ > most_rings || slots_ == 0 || slots_ > most_slots ||
      ring::file_bytes(ring_count_, slots_) > size)
    return fail(ErrorCode::malformed, "not a span file: its sizes contradict each other");
  const std::uint64_t wanted = ring::file_bytes(ring_count_, slots_);
  if (!std::in_range<std::size_t>(wanted))
    return fail(ErrorCode::unavailable, "the span file is larger than a 32-bit program can map");
  auto mapping = Mapping::map(fd_, static_cast<std::size_t>(wanted), writable);
  if (!mapping) return Unexpected<Error>(mapping.error());
  mapping_ = std::move(*mapping);
  writable_ = writable;
  reserved_ = ring_count_;
  rings_.resize(ring_count_);
  for (std::uint32_t r = 0; r < ring_count_; ++r) {
    const auto tail = ring_header(r).tail.load(std::memory_order_acquire);
    rings_[r].next = rings_[r].safe = rings_[r].published = tail;
  }
  return {};
}

bool SpanConsumer::locked(const std::filesystem::path& path) {
  const auto fd = Fd::open(path.string(), O_RDONLY | O_NOFOLLOW);
  return fd && !take_lock(*fd) && errno == EWOULDBLOCK;
}

int SpanConsumer::watch(const std::filesystem::path& path) noexcept {
  if (!opened_.valid()) opened_ = watch_for_opening(path.string());
  return opened_.get();
}

bool SpanConsumer::begun() const noexcept { return !shrunk() && header().claimed.load(std::memory_order_relaxed) != 0; }

ring::FileHeader& SpanConsumer::header() const noexcept {
  return *reinterpret_cast<ring::FileHeader*>(mapping_.bytes().data());
}
ring::RingHeader& SpanConsumer::ring_header(std::uint32_t index) const noexcept {
  auto* bytes = mapping_.bytes().data() + sizeof(ring::FileHeader) + index * sizeof(ring::RingHeader);
  return *reinterpret_cast<ring::RingHeader*>(bytes);
}

// A file that somebody cut short under the mapping would kill the reader at the first touch.
bool SpanConsumer::shrunk() const noexcept {
  struct stat status{};
  return ::fstat(fd_.get(), &status) != 0 || static_cast<std::uint64_t>(status.st_size) < mapping_.bytes().size();
}

bool SpanConsumer::read_slot(std::uint32_t index, std::uint64_t position, Slot& slot) const noexcept {
  const auto place = static_cast<std::size_t>(index) * slots_ + position % slots_;
  const auto* bytes = mapping_.bytes().data() + ring::headers_bytes(ring_count_) + place * sizeof(ring::Slot);
  const auto& shared = *reinterpret_cast<const ring::Slot*>(bytes);
  if (shared.sequence.load(std::memory_order_acquire) != position + 1) return false;
  slot.time_ns = shared.time_ns;
  slot.span = shared.span;
  slot.parent = shared.parent;
  slot.value = shared.value;
  slot.kind = shared.kind;
  std::memcpy(&slot.type, &shared.type, 1);
  slot.length = shared.length;
  std::memcpy(slot.text, shared.text, sizeof slot.text);
  return true;
}

Result<void> SpanConsumer::drain(const Sink& sink) {
  if (shrunk()) return fail(ErrorCode::gone, "the span file was cut short by somebody", {}, "record again");
  if (writable_) reserve_ahead();
  for (std::uint32_t r = 0; r < ring_count_; ++r)
    if (auto done = drain_ring(r, sink); !done) return done;
  return {};
}

void SpanConsumer::reserve_ahead() noexcept {
  const auto claimed = header().claimed.load(std::memory_order_relaxed);
  const auto wanted = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(ring_count_, static_cast<std::uint64_t>(claimed) + rings_ahead));
  if (wanted <= reserved_) return;
  const auto ring_bytes = slots_ * sizeof(ring::Slot);
  const auto from = ring::headers_bytes(ring_count_) + reserved_ * ring_bytes;
  if (reserve(fd_, from, (wanted - reserved_) * ring_bytes) != 0) {
    stop_producers();  // no room: better no more spans than a killed workload
    reserved_ = ring_count_;
    return;
  }
  reserved_ = wanted;
}

Result<void> SpanConsumer::drain_ring(std::uint32_t index, const Sink& sink) {
  auto& ring = rings_[index];
  const auto head = ring_header(index).head.load(std::memory_order_acquire);
  const auto waiting = head - ring.next;
  if (waiting == 0) return {};
  if (waiting > slots_) {  // no honest producer writes past the tail: nothing between can be told apart
    ++ring.broken;
    ring.expect = Expect::nothing;
    ring.next = ring.safe = head;
    return {};
  }
  Slot slot;
  for (; ring.next != head; ++ring.next) {
    if (!read_slot(index, ring.next, slot)) {
      ++ring.broken;
      if (auto done = hand_over(ring, sink); !done) return done;
      ring.safe = ring.next + 1;
      continue;
    }
    if (auto done = take(ring, index, slot, sink); !done) return done;
    if (ring.expect == Expect::nothing) ring.safe = ring.next + 1;
  }
  return {};
}

Result<void> SpanConsumer::take(Ring& ring, std::uint32_t index, const Slot& slot, const Sink& sink) {
  using ring::SlotType;
  const auto type = static_cast<SlotType>(slot.type);
  if (type == SlotType::text) {
    if (ring.expect != Expect::nothing) return continue_pending(ring, slot, sink);
    ++ring.broken;
    return {};
  }
  if (ring.expect != Expect::nothing) {  // its text was never ended: keep what there is
    ++ring.broken;
    if (auto done = hand_over(ring, sink); !done) return done;
    ring.safe = ring.next;
  }
  const auto owner = slot.span >> 40;
  constexpr auto latest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const auto known = slot.type >= 1 && slot.type <= static_cast<std::uint8_t>(SlotType::complete);
  // An id outside the rings' own would overwrite what the recorder itself wrote.
  if (!known || owner == 0 || owner > ring_count_ || slot.time_ns > latest || slot.parent > latest ||
      (slot.length > ring::slot_text_bytes && slot.length != 255)) {
    ++ring.broken;
    return {};
  }
  auto& change = ring.pending;
  change.type = type;
  change.span = slot.span;
  change.parent = slot.parent;
  change.kind = slot.kind;
  change.time_ns = static_cast<std::int64_t>(slot.time_ns);
  change.value = slot.value;
  change.pid = ring_header(index).pid.load(std::memory_order_relaxed);
  change.ring = index;
  change.key.clear();
  change.text.clear();
  const auto has_key = type == SlotType::count || type == SlotType::attribute;
  auto& name = has_key ? change.key : change.text;
  name.assign(slot.text, std::min<std::size_t>(slot.length, ring::slot_text_bytes));
  ring.expect = slot.length == 255 ? Expect::name : type == SlotType::attribute ? Expect::value : Expect::nothing;
  if (ring.expect != Expect::nothing) return {};
  return sink(change);
}

Result<void> SpanConsumer::continue_pending(Ring& ring, const Slot& slot, const Sink& sink) {
  using ring::SlotType;
  auto& change = ring.pending;
  const auto has_key = change.type == SlotType::count || change.type == SlotType::attribute;
  auto& text = ring.expect == Expect::name && has_key ? change.key : change.text;
  const auto bytes = std::min<std::size_t>(slot.length, ring::slot_text_bytes);
  text.append(slot.text, std::min(bytes, span_text_limit - text.size()));
  const auto endless = ring.next - ring.safe > slots_ / 2;  // the producer would wait for ever for these slots
  if (slot.length == 255 && !endless) return {};
  if (ring.expect == Expect::name && change.type == SlotType::attribute && !endless) {
    ring.expect = Expect::value;
    return {};
  }
  return hand_over(ring, sink);
}

Result<void> SpanConsumer::hand_over(Ring& ring, const Sink& sink) {
  if (ring.expect == Expect::nothing) return {};
  ring.expect = Expect::nothing;
  return sink(ring.pending);
}

Result<void> SpanConsumer::finish(const Sink& sink) {
  for (auto& ring : rings_) {
    if (ring.expect == Expect::nothing) continue;
    ++ring.broken;
    if (auto done = hand_over(ring, sink); !done) return done;
    ring.safe = ring.next;
  }
  return {};
}

bool SpanConsumer::should_publish() const noexcept {
  return std::any_of(rings_.begin(), rings_.end(),
                     [this](const Ring& ring) { return ring.safe - ring.published > slots_ / 4; });
}

void SpanConsumer::publish() noexcept {
  if (!writable_ || shrunk()) return;
  for (std::uint32_t r = 0; r < ring_count_; ++r)
    if (rings_[r].published != rings_[r].safe) {
      rings_[r].published = rings_[r].safe;
      ring_header(r).tail.store(rings_[r].safe, std::memory_order_release);
    }
}

void SpanConsumer::stop_producers() noexcept {
  if (writable_ && !shrunk()) header().recording.store(0, std::memory_order_release);
}

std::vector<SpanConsumer::Loss> SpanConsumer::losses() const {
  std::vector<Loss> all;
  if (shrunk()) return all;
  for (std::uint32_t r = 0; r < ring_count_; ++r) {
    const auto& shared = ring_header(r);
    const Loss loss{r, shared.pid.load(std::memory_order_relaxed), shared.lost.load(std::memory_order_relaxed),
                    rings_[r].broken};
    if (loss.dropped != 0 || loss.broken != 0) all.push_back(loss);
  }
  return all;
}

std::uint64_t SpanConsumer::rejected_threads() const noexcept {
  return shrunk() ? 0 : header().rejected.load(std::memory_order_relaxed);
}

std::uint64_t SpanConsumer::lost() const {
  auto sum = rejected_threads();
  for (const auto& loss : losses()) sum += loss.dropped + loss.broken;
  return sum;
}

}  // namespace prony
