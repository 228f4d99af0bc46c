// libprony: the C ABI of include/prony/prony.h on the rings of model/span_ring.hpp. See session.hpp for what it may
// need.
//
// Where nobody records, a call is one relaxed load. Where somebody does, begin and end are a clock read through the
// vDSO and one slot each: no lock, no system call, no allocation.
#include <prony/prony.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cerrno>

#include "client/session.hpp"

namespace prony::client {
namespace {

// What a thread knows of its ring; trivial, so that thread_local needs no guard and no constructor.
struct Writer {
  Session* session = nullptr;  // the session the ring belongs to; null: no ring yet
  bool rejected = false;       // this session had no ring for us: counted once
  bool busy = false;           // a record is being written: a signal handler's own span is dropped, not mixed in
  std::uint32_t ring = 0;
  std::uint32_t position = 0;  // head % slots_per_ring
  std::uint64_t head = 0;
  std::uint64_t tail = 0;  // as last seen; read again only when the ring looks full
  ring::RingHeader* header = nullptr;
  ring::Slot* slots = nullptr;
};

constinit std::atomic<Session*> active{nullptr};
constinit std::atomic<Session*> sessions{nullptr};  // all ever opened, newest first
constinit thread_local Writer writer{};
pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
constinit bool key_made = false;  // under open_lock
pthread_key_t thread_end_key;

void at_thread_end(void*) {
  if (writer.session == nullptr || writer.rejected) return;
  give_back_ring(*writer.session, writer.ring);
  writer = Writer{};
}

// Across fork: the lock is taken so that the child never inherits it half-way, and the child forgets every ring,
// because a ring has one writer and that is the parent.
void before_fork() { pthread_mutex_lock(&open_lock); }
void after_fork_in_parent() { pthread_mutex_unlock(&open_lock); }
void after_fork_in_child() {
  open_lock = PTHREAD_MUTEX_INITIALIZER;
  writer = Writer{};
  for (Session* s = sessions.load(std::memory_order_relaxed); s != nullptr; s = s->next) forget_free_rings(*s);
}

// dlclose() of this library: threads that end later must not jump into unmapped code.
__attribute__((destructor)) void unload() {
  active.store(nullptr, std::memory_order_relaxed);
  if (key_made) pthread_key_delete(thread_end_key);
  key_made = false;
}

std::int64_t now_ns() {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

Session* recording_session() {
  Session* session = active.load(std::memory_order_acquire);
  if (session == nullptr || session->file->recording.load(std::memory_order_relaxed) == 0) return nullptr;
  return session;
}

// The thread's first span in a session, or the first after it changed.
__attribute__((noinline)) bool enter(Writer& w, Session& session) {
  if (w.session == &session) return false;  // rejected before
  if (w.session != nullptr && !w.rejected) give_back_ring(*w.session, w.ring);
  w = Writer{};
  w.busy = true;
  w.session = &session;
  const std::int64_t ring = claim_ring(session);
  w.rejected = ring < 0;
  if (w.rejected) return false;
  w.ring = static_cast<std::uint32_t>(ring);
  w.header = &session.rings[w.ring];
  w.slots = session.slots + static_cast<std::size_t>(w.ring) * session.slots_per_ring;
  w.head = w.header->head.load(std::memory_order_relaxed);
  w.tail = w.header->tail.load(std::memory_order_acquire);
  w.position = static_cast<std::uint32_t>(w.head % session.slots_per_ring);
  pthread_setspecific(thread_end_key, &writer);
  return true;
}

bool room_for(Writer& w, std::uint64_t count) {
  const std::uint64_t size = w.session->slots_per_ring;
  if (count <= size && w.head - w.tail <= size - count) return true;
  w.tail = w.header->tail.load(std::memory_order_acquire);  // pairs with the consumer's release: slots are ours again
  if (count <= size && w.head - w.tail <= size - count) return true;
  w.header->lost.store(w.header->lost.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  return false;
}

// One record: slots are filled first, `head` is published once, so the consumer sees all of it or nothing.
class Record {
 public:
  explicit Record(Writer& w) : w_(w), head_(w.head), position_(w.position) {}

  ring::Slot& slot(ring::SlotType type, std::uint64_t span) {
    ring::Slot& slot = w_.slots[position_];
    slot.span = span;
    slot.type = type;
    slot.parent = 0;
    slot.value = 0;
    slot.kind = 0;
    slot.length = 0;
    return slot;
  }
  void done(ring::Slot& slot) {
    slot.sequence.store(++head_, std::memory_order_release);
    if (++position_ == w_.session->slots_per_ring) position_ = 0;
  }
  // Fills `text` of a slot; what does not fit is left for continue_text().
  static std::size_t put(ring::Slot& slot, const char* text, std::size_t bytes) {
    const bool fits = bytes <= ring::slot_text_bytes;
    const std::size_t here = fits ? bytes : ring::slot_text_bytes;
    slot.length = fits ? static_cast<std::uint8_t>(bytes) : std::uint8_t{255};
    if (here != 0) memcpy(slot.text, text, here);
    return here;
  }
  void continue_text(std::uint64_t span, const char* text, std::size_t bytes, std::size_t from) {
    while (from < bytes) {
      ring::Slot& more = slot(ring::SlotType::text, span);
      more.time_ns = 0;
      from += put(more, text + from, bytes - from);
      done(more);
    }
  }
  void publish() {
    w_.head = head_;
    w_.position = position_;
    w_.header->head.store(head_, std::memory_order_release);
  }

 private:
  Writer& w_;
  std::uint64_t head_;
  std::uint32_t position_;
};

// Length of a text, cut to `most` bytes and then back to a whole UTF-8 character.
std::size_t text_bytes(const char* text, std::size_t most) {
  if (text == nullptr) return 0;
  std::size_t bytes = strnlen(text, most + 1);
  if (bytes <= most) return bytes;
  bytes = most;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) --bytes;
  return bytes;
}

std::uint64_t text_slots(std::size_t bytes) { return (bytes + ring::slot_text_bytes - 1) / ring::slot_text_bytes; }
// Slots of a record whose first slot holds a text of `bytes` bytes.
std::uint64_t slots_with(std::size_t bytes) { return bytes <= ring::slot_text_bytes ? 1 : text_slots(bytes); }

// Holds the thread's writer for one record; false if there is nowhere to write.
class Hold {
 public:
  explicit Hold(Session& session) : w_(writer) {
    if (w_.busy) {  // a signal handler interrupted a record of this very thread
      if (w_.header != nullptr) {
        w_.header->lost.store(w_.header->lost.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      }
      return;
    }
    w_.busy = true;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    held_ = (w_.session == &session && !w_.rejected) || enter(w_, session);
    if (!held_) w_.busy = false;
  }
  ~Hold() {
    if (!held_) return;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    w_.busy = false;
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  explicit operator bool() const { return held_; }
  Writer& operator*() { return w_; }

 private:
  Writer& w_;
  bool held_ = false;
};

std::uint64_t new_id(const Writer& w) {
  return (std::uint64_t{w.ring} + 1) << 40 | ((w.head + 1) & ((std::uint64_t{1} << 40) - 1));
}

// begin and complete alike. No `begin_ns`: now, taken last, so that the writing lies outside the span.
prony_span write_begin(ring::SlotType type, int kind, const char* name, prony_span parent, const std::int64_t* begin_ns,
                       std::int64_t end_ns) {
  Session* session = recording_session();
  if (session == nullptr) return 0;
  Hold hold(*session);
  if (!hold) return 0;
  Writer& w = *hold;
  const std::size_t bytes = text_bytes(name, most_name_bytes);
  if (!room_for(w, slots_with(bytes))) return 0;
  const std::uint64_t id = new_id(w);
  Record record(w);
  ring::Slot& slot = record.slot(type, id);
  slot.parent = parent;
  slot.value = end_ns;
  slot.kind = static_cast<std::uint16_t>(kind);
  const std::size_t here = Record::put(slot, name, bytes);
  slot.time_ns = static_cast<std::uint64_t>(begin_ns != nullptr ? *begin_ns : now_ns());
  record.done(slot);
  record.continue_text(id, name, bytes, here);
  record.publish();
  return id;
}

int open_locked(const char* path) {
  if (!key_made) {
    const int error = pthread_key_create(&thread_end_key, at_thread_end);
    if (error != 0) return -error;
    key_made = true;
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  }
  Session* known = sessions.load(std::memory_order_relaxed);
  Session* session = nullptr;
  const int error = open_session(path, known, &session);
  if (error != 0) return error;
  bool listed = false;
  for (Session* s = known; s != nullptr; s = s->next) listed = listed || s == session;
  if (!listed) {
    session->next = known;
    sessions.store(session, std::memory_order_release);
  }
  active.store(session, std::memory_order_release);
  return session->file->recording.load(std::memory_order_relaxed) != 0 ? 0 : 1;
}

}  // namespace
}  // namespace prony::client

using namespace prony::client;
namespace ring = prony::ring;

#define PRONY_EXPORT __attribute__((visibility("default")))

extern "C" {

PRONY_EXPORT int prony_open(const char* span_file) {
  const char* path = span_file != nullptr ? span_file : getenv("PRONY_SPANS");
  if (path == nullptr || *path == '\0') return 1;
  pthread_mutex_lock(&open_lock);
  const int result = open_locked(path);
  pthread_mutex_unlock(&open_lock);
  return result;
}

PRONY_EXPORT void prony_close(void) { active.store(nullptr, std::memory_order_relaxed); }

PRONY_EXPORT int prony_recording(void) { return recording_session() != nullptr ? 1 : 0; }

PRONY_EXPORT uint32_t prony_abi_version(void) { return PRONY_ABI_VERSION; }

PRONY_EXPORT int64_t prony_now_ns(void) { return now_ns(); }

PRONY_EXPORT uint32_t prony_span_room(void) {
  Session* session = recording_session();
  if (session == nullptr) return UINT32_MAX;
  Hold hold(*session);
  if (!hold) return 0;
  Writer& w = *hold;
  w.tail = w.header->tail.load(std::memory_order_acquire);
  return static_cast<uint32_t>(session->slots_per_ring - (w.head - w.tail));
}

PRONY_EXPORT prony_span prony_span_begin(int kind, const char* name, prony_span parent) {
  return write_begin(ring::SlotType::begin, kind, name, parent, nullptr, 0);
}

PRONY_EXPORT prony_span prony_span_complete(int kind, const char* name, prony_span parent, int64_t begin_ns,
                                            int64_t end_ns) {
  return write_begin(ring::SlotType::complete, kind, name, parent, &begin_ns, end_ns);
}

PRONY_EXPORT void prony_span_end(prony_span span, int status) {
  if (span == 0) return;
  Session* session = recording_session();
  if (session == nullptr) return;
  const std::int64_t time = now_ns();  // first, so that the writing lies outside the span
  Hold hold(*session);
  if (!hold || !room_for(*hold, 1)) return;
  Record record(*hold);
  ring::Slot& slot = record.slot(ring::SlotType::end, span);
  slot.time_ns = static_cast<std::uint64_t>(time);
  slot.kind = static_cast<std::uint16_t>(status == PRONY_OK ? PRONY_OK : PRONY_FAILED);
  record.done(slot);
  record.publish();
}

PRONY_EXPORT void prony_span_count(prony_span span, const char* key, int64_t value) {
  if (span == 0 || key == nullptr) return;
  Session* session = recording_session();
  if (session == nullptr) return;
  Hold hold(*session);
  const std::size_t bytes = text_bytes(key, most_name_bytes);
  if (!hold || !room_for(*hold, slots_with(bytes))) return;
  Record record(*hold);
  ring::Slot& slot = record.slot(ring::SlotType::count, span);
  slot.time_ns = 0;
  slot.value = value;
  const std::size_t here = Record::put(slot, key, bytes);
  record.done(slot);
  record.continue_text(span, key, bytes, here);
  record.publish();
}

PRONY_EXPORT void prony_span_attribute(prony_span span, const char* key, const char* value) {
  if (span == 0 || key == nullptr || value == nullptr) return;
  Session* session = recording_session();
  if (session == nullptr) return;
  Hold hold(*session);
  const std::size_t key_bytes = text_bytes(key, most_name_bytes);
  const std::size_t value_bytes = text_bytes(value, most_text_bytes);
  const std::uint64_t value_slots = value_bytes == 0 ? 1 : text_slots(value_bytes);
  if (!hold || !room_for(*hold, slots_with(key_bytes) + value_slots)) return;
  Record record(*hold);
  ring::Slot& slot = record.slot(ring::SlotType::attribute, span);
  slot.time_ns = 0;
  const std::size_t here = Record::put(slot, key, key_bytes);
  record.done(slot);
  record.continue_text(span, key, key_bytes, here);
  if (value_bytes == 0) {
    ring::Slot& empty = record.slot(ring::SlotType::text, span);
    empty.time_ns = 0;
    record.done(empty);
  }
  record.continue_text(span, value, value_bytes, 0);
  record.publish();
}

PRONY_EXPORT prony_span prony_span_stamped(int kind, const char* name, prony_span parent, int64_t begin, int64_t end,
                                           const struct prony_clock* clock) {
  if (clock == nullptr || clock->struct_size != sizeof(struct prony_clock)) return 0;
  if (clock->name == nullptr || *clock->name == '\0' || clock->doubt_ns < 0 || end < begin) return 0;
  std::int64_t begin_ns = 0, end_ns = 0;
  if (__builtin_add_overflow(begin, clock->offset_ns, &begin_ns)) return 0;
  if (__builtin_add_overflow(end, clock->offset_ns, &end_ns)) return 0;
  const prony_span span = prony_span_complete(kind, name, parent, begin_ns, end_ns);
  if (span == 0) return 0;
  prony_span_attribute(span, "clock", "device");
  prony_span_attribute(span, "clock_name", clock->name);
  prony_span_count(span, "clock_offset_ns", clock->offset_ns);
  prony_span_count(span, "clock_doubt_ns", clock->doubt_ns);
  return span;
}

}  // extern "C"
