#include "store/look_codec.hpp"

#include <bit>
#include <numeric>
#include <optional>
#include <unordered_map>

#include "store/packed_bytes.hpp"

namespace prony {
namespace {

using namespace packed;

constexpr std::uint8_t looks_version = 1;
constexpr std::uint8_t most_planes = 8;
// The largest that a chunk within the limits can be: per use 5 bytes of process, 10 of memory, 8 of time.
constexpr std::size_t largest_looks_content = chunk_uses_limit * 23 + chunk_looks_limit * 40 + 64;

// The greatest common divisors of what a chunk holds: clocks that count in ticks and memory that comes in pages take
// few bytes, whatever the tick and the page. 0: all of them are 0.
struct Units {
  std::uint64_t time = 0, memory = 0;
};

Units units_of(std::span<const ProcessLook> looks) {
  Units units;
  for (const ProcessLook& look : looks) {
    units.time = std::gcd(units.time, bits(look.ended_unseen_ns));
    for (const ProcessUse& use : look.uses) {
      units.time = std::gcd(units.time, bits(use.cpu_ns));
      units.memory = std::gcd(units.memory, use.resident_bytes);
    }
  }
  return units;
}

constexpr std::uint64_t in_units(std::uint64_t value, std::uint64_t unit) noexcept {
  return unit == 0 ? 0 : value / unit;
}

void put_looks(ByteVector& out, std::span<const ProcessLook> looks, const Units& units) {
  Instant before = looks.front().between.begin;
  for (const ProcessLook& look : looks) {
    put_varint(out, zigzag(bits(look.between.begin.ns) - bits(before.ns)));
    put_varint(out, zigzag(bits(look.between.end.ns) - bits(look.between.begin.ns)));
    put_varint(out, look.uses.size());
    put_varint(out, in_units(bits(look.ended_unseen_ns), units.time));
    before = look.between.end;
  }
}

// Memory as the change since the process's last use in this chunk: mostly nothing.
void put_memory(ByteVector& out, std::span<const ProcessLook> looks, const Units& units) {
  std::unordered_map<std::uint32_t, std::uint64_t> held;
  for (const ProcessLook& look : looks)
    for (const ProcessUse& use : look.uses) {
      const std::uint64_t now = in_units(use.resident_bytes, units.memory);
      std::uint64_t& last = held[use.process];
      put_varint(out, zigzag(now - last));
      last = now;
    }
}

// One plane of bytes after the other: the low ones are noise, the high ones nearly all alike. `cuts`: where each
// begins.
void put_times(ByteVector& out, std::span<const ProcessLook> looks, const Units& units,
               std::vector<std::size_t>& cuts) {
  std::uint64_t all = 0;
  for (const ProcessLook& look : looks)
    for (const ProcessUse& use : look.uses) all |= in_units(bits(use.cpu_ns), units.time);
  const auto planes = static_cast<std::uint8_t>((std::bit_width(all) + 7) / 8);
  out.push_back(planes);
  for (unsigned plane = 0; plane < planes; ++plane) {
    cuts.push_back(out.size());
    for (const ProcessLook& look : looks)
      for (const ProcessUse& use : look.uses)
        out.push_back(static_cast<std::uint8_t>(in_units(bits(use.cpu_ns), units.time) >> (8 * plane)));
  }
}

// 0 for the look's first.
std::optional<std::uint64_t> next_process(std::uint64_t from, std::uint64_t gap) {
  constexpr std::uint64_t most = 0xffffffffU;
  if (from > most || gap > most - from) return std::nullopt;
  return from + gap;
}

struct Head {
  std::size_t looks = 0, uses = 0;
  std::uint64_t first = 0;
  Units units;
};

std::optional<Head> read_head(Reader& reader) {
  const auto version = reader.byte();
  const auto looks = reader.varint();
  const auto uses = reader.varint();
  const auto first = reader.varint();
  const auto time = reader.varint();
  const auto memory = reader.varint();
  if (!version || *version != looks_version || !looks || !uses || !first || !time || !memory) return std::nullopt;
  if (*looks == 0 || *looks > chunk_looks_limit || *uses > chunk_uses_limit) return std::nullopt;
  // A look takes four bytes at least and a use two: whoever claims more lies, and gets no memory for it.
  if (*looks * 4 + *uses * 2 > reader.left()) return std::nullopt;
  return Head{static_cast<std::size_t>(*looks), static_cast<std::size_t>(*uses), unzigzag(*first), {*time, *memory}};
}

bool read_looks(Reader& reader, const Head& head, std::vector<ProcessLook>& looks) {
  std::uint64_t at = head.first;
  std::uint64_t left = head.uses;
  for (ProcessLook& look : looks) {
    const auto begin = reader.varint();
    const auto length = reader.varint();
    const auto uses = reader.varint();
    const auto ended = reader.varint();
    if (!begin || !length || !uses || !ended || *uses > left) return false;
    left -= *uses;
    look.between.begin.ns = number(at + unzigzag(*begin));
    at = bits(look.between.begin.ns) + unzigzag(*length);
    look.between.end.ns = number(at);
    look.ended_unseen_ns = number(*ended * head.units.time);
    look.uses.resize(static_cast<std::size_t>(*uses));
  }
  return left == 0;
}

bool read_uses(Reader& reader, const Head& head, std::vector<ProcessLook>& looks) {
  for (ProcessLook& look : looks) {
    std::uint64_t from = 0;
    for (ProcessUse& use : look.uses) {
      const auto gap = reader.varint();
      const auto process = gap ? next_process(from, *gap) : std::nullopt;
      if (!process) return false;
      use.process = static_cast<std::uint32_t>(*process);
      from = *process + 1;
    }
  }
  std::unordered_map<std::uint32_t, std::uint64_t> held;
  for (ProcessLook& look : looks)
    for (ProcessUse& use : look.uses) {
      const auto change = reader.varint();
      if (!change) return false;
      std::uint64_t& last = held[use.process];
      last += unzigzag(*change);
      use.resident_bytes = last * head.units.memory;
    }
  return true;
}

bool read_times(Reader& reader, const Head& head, std::vector<ProcessLook>& looks) {
  const auto planes = reader.byte();
  if (!planes || *planes > most_planes) return false;
  for (unsigned plane = 0; plane < *planes; ++plane) {
    const auto bytes = reader.take(head.uses);
    if (!bytes) return false;
    std::size_t i = 0;
    for (ProcessLook& look : looks)
      for (ProcessUse& use : look.uses)
        use.cpu_ns = number(bits(use.cpu_ns) | static_cast<std::uint64_t>((*bytes)[i++]) << (8 * plane));
  }
  for (ProcessLook& look : looks)
    for (ProcessUse& use : look.uses) use.cpu_ns = number(bits(use.cpu_ns) * head.units.time);
  return true;
}

}  // namespace

Result<std::vector<std::byte>> encode_looks(std::span<const ProcessLook> looks) {
  std::size_t uses = 0;
  for (const ProcessLook& look : looks) {
    uses += look.uses.size();
    for (std::size_t i = 1; i < look.uses.size(); ++i)
      if (look.uses[i].process <= look.uses[i - 1].process)
        return fail(ErrorCode::usage, "the uses of a look do not ascend by process", "look");
  }
  if (looks.empty() || looks.size() > chunk_looks_limit || uses > chunk_uses_limit)
    return fail(ErrorCode::usage, "no looks, or more than one chunk holds", "look");
  const Units units = units_of(looks);
  ByteVector content{looks_version};
  put_varint(content, looks.size());
  put_varint(content, uses);
  put_varint(content, zigzag(bits(looks.front().between.begin.ns)));
  put_varint(content, units.time);
  put_varint(content, units.memory);
  put_looks(content, looks, units);
  std::vector<std::size_t> cuts;
  for (const ProcessLook& look : looks) {
    std::uint64_t from = 0;
    for (const ProcessUse& use : look.uses) {
      put_varint(content, use.process - from);
      from = std::uint64_t{use.process} + 1;
    }
  }
  put_memory(content, looks, units);
  put_times(content, looks, units, cuts);
  // A small chunk is not worth a table of its own for each plane.
  if (uses < 1024) cuts.clear();
  return compress(content, cuts);
}

Result<std::vector<ProcessLook>> decode_looks(std::span<const std::byte> bytes) {
  const auto content = decompress(bytes, largest_looks_content);
  if (!content) return Unexpected<Error>(content.error());
  Reader reader(*content);
  const auto head = read_head(reader);
  if (!head) return damaged("its head is not that of looks");
  std::vector<ProcessLook> looks(head->looks);
  if (!read_looks(reader, *head, looks)) return damaged("its looks are cut or false");
  if (!read_uses(reader, *head, looks)) return damaged("its processes are cut or false");
  if (!read_times(reader, *head, looks)) return damaged("its times are cut");
  if (!reader.at_end()) return damaged("something follows its end");
  return looks;
}

}  // namespace prony
