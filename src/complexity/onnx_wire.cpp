#include "complexity/onnx_wire.hpp"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace prony::complexity {

namespace {

constexpr std::size_t window_bytes = 64 * 1024;

std::uint64_t little_endian(const std::byte* from, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(from[i]);
  return value;
}

}  // namespace

WireBytes::WireBytes(Fd file, std::uint64_t size) : file_(std::move(file)), buffer_(window_bytes), size_(size) {}

const std::byte* WireBytes::look(std::uint64_t at, std::size_t bytes) {
  if (at > size_ || bytes > size_ - at) return nullptr;
  if (at < window_at_ || at + bytes > window_at_ + window_.size()) {
    if (!file_.valid()) return nullptr;
    std::size_t have = 0;
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer_.size(), size_ - at));
    while (have < wanted) {
      const ssize_t got = ::pread(file_.get(), buffer_.data() + have, wanted - have, static_cast<off_t>(at + have));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      have += static_cast<std::size_t>(got);
    }
    window_ = std::span(buffer_).first(have);
    window_at_ = at;
    if (have < bytes) return nullptr;
  }
  return window_.data() + (at - window_at_);
}

bool WireBytes::copy(std::uint64_t at, std::span<std::byte> out) {
  for (std::size_t done = 0; done < out.size();) {
    const std::size_t part = std::min<std::size_t>(out.size() - done, 4096);
    const std::byte* from = look(at + done, part);
    if (from == nullptr) return false;
    std::memcpy(out.data() + done, from, part);
    done += part;
  }
  return true;
}

bool WireBudget::field() {
  if (!ok()) return false;
  if (fields_ == 0) {
    too_much_ = true;
    refuse("it has more parts than any model has");
    return false;
  }
  --fields_;
  return true;
}

bool WireBudget::keep(std::uint64_t bytes) {
  if (!ok()) return false;
  if (bytes > kept_) {
    too_much_ = true;
    refuse("its names and attributes take more memory than any model's");
    return false;
  }
  kept_ -= bytes;
  return true;
}

std::optional<std::uint64_t> WireMessage::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (at_ >= end_) break;
    const std::byte* one = budget_->bytes().look(at_, 1);
    if (one == nullptr) break;
    ++at_;
    const auto bits = std::to_integer<std::uint64_t>(*one);
    if (shift < 64) value |= (bits & 0x7f) << shift;
    if ((bits & 0x80) == 0) return value;
  }
  budget_->refuse(at_ >= end_ ? "it ends within a number" : "a number of more than ten bytes");
  return std::nullopt;
}

std::optional<WireField> WireMessage::next() {
  if (at_ >= end_ || !budget_->field()) return std::nullopt;
  const auto key = varint();
  if (!key) return std::nullopt;
  WireField field;
  field.number = static_cast<std::uint32_t>(*key >> 3);
  field.type = static_cast<WireType>(*key & 7);
  std::uint64_t bytes = 0;
  switch (field.type) {
    case WireType::varint: {
      const auto value = varint();
      if (!value) return std::nullopt;
      field.value = *value;
      return field;
    }
    case WireType::bytes: {
      const auto length = varint();
      if (!length) return std::nullopt;
      bytes = *length;
      break;
    }
    case WireType::fixed64: bytes = 8; break;
    case WireType::fixed32: bytes = 4; break;
    default:
      budget_->refuse("a field of the unknown wire type " + std::to_string(*key & 7) + " at byte " +
                      std::to_string(at_));
      return std::nullopt;
  }
  if (bytes > end_ - at_) {
    budget_->refuse("it ends within a field of " + std::to_string(bytes) + " bytes at byte " + std::to_string(at_));
    return std::nullopt;
  }
  field.begin = at_;
  field.end = at_ + bytes;
  at_ = field.end;
  if (field.type == WireType::bytes) return field;
  const std::byte* from = budget_->bytes().look(field.begin, static_cast<std::size_t>(bytes));
  if (from == nullptr) {
    budget_->refuse("it became shorter while it was read");
    return std::nullopt;
  }
  field.value = little_endian(from, static_cast<std::size_t>(bytes));
  return field;
}

std::string wire_text(WireBudget& budget, const WireField& field, std::size_t most) {
  if (!field.is_bytes()) return {};
  if (field.size() > most) {
    budget.refuse("a text of " + std::to_string(field.size()) + " bytes where a name is expected");
    return {};
  }
  if (!budget.keep(field.size() + 32)) return {};
  std::string text(static_cast<std::size_t>(field.size()), '\0');
  if (!budget.bytes().copy(field.begin, std::as_writable_bytes(std::span(text)))) {
    budget.refuse("it became shorter while it was read");
    return {};
  }
  return text;
}

void wire_integers(WireBudget& budget, const WireField& field, std::vector<std::int64_t>& out, std::size_t most) {
  const auto add = [&](std::uint64_t value) {
    if (out.size() >= most)
      budget.refuse("a list of more than " + std::to_string(most) + " numbers");
    else if (budget.keep(8))
      out.push_back(static_cast<std::int64_t>(value));
  };
  if (!field.is_bytes()) return add(field.value);
  WireMessage packed(budget, field);
  while (budget.ok() && !packed.at_end())
    if (const auto value = packed.varint()) add(*value);
}

void wire_floats(WireBudget& budget, const WireField& field, std::vector<double>& out, std::size_t most) {
  const auto add = [&](std::uint64_t bits) {
    if (out.size() >= most)
      budget.refuse("a list of more than " + std::to_string(most) + " numbers");
    else if (budget.keep(8))
      out.push_back(static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits))));
  };
  if (!field.is_bytes()) return add(field.value);
  if (field.size() % 4 != 0) return budget.refuse("a list of numbers of a length that cannot be");
  for (std::uint64_t at = field.begin; at < field.end && budget.ok(); at += 4) {
    const std::byte* from = budget.bytes().look(at, 4);
    if (from == nullptr) return budget.refuse("it became shorter while it was read");
    add(little_endian(from, 4));
  }
}

}  // namespace prony::complexity
