#include "sensors/integer_file.hpp"

#include "sensors/retry_pause.hpp"

namespace prony {

namespace {

constexpr bool is_end(char c) noexcept { return c == '\n' || c == ' ' || c == '\t' || c == '\r'; }

}  // namespace

ParseFault parse_sensor_integer(std::span<const char> text, IntegerSign sign, std::int64_t& value) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  const bool negative = at != end && *at == '-';
  if (negative) ++at;
  const char* const first = at;
  std::uint64_t sum = 0;
  for (; at != end; ++at) {
    const auto digit = static_cast<unsigned>(static_cast<unsigned char>(*at)) - '0';
    if (digit > 9) break;
    // 19 digits cannot overflow; only the twentieth is worth a check.
    if (at - first >= 19 && (sum > UINT64_MAX / 10 || sum * 10 > UINT64_MAX - digit)) return ParseFault::too_large;
    sum = sum * 10 + digit;
  }
  const bool digits = at != first;
  while (at != end && is_end(*at)) ++at;
  if (at != end) return ParseFault::not_a_number;
  if (!digits) return negative ? ParseFault::not_a_number : ParseFault::empty;
  if (sign == IntegerSign::unsigned_64) {
    if (negative) return ParseFault::negative;
    value = static_cast<std::int64_t>(sum);
    return ParseFault::none;
  }
  if (sum > static_cast<std::uint64_t>(INT64_MAX)) return ParseFault::too_large;  // INT64_MIN is no sensor's value
  value = negative ? -static_cast<std::int64_t>(sum) : static_cast<std::int64_t>(sum);
  return ParseFault::none;
}

Result<IntegerFile> IntegerFile::open(Machine& machine, const std::string& path, IntegerSign sign) {
  auto file = machine.open(path);
  if (!file) return Unexpected<Error>(file.error());
  IntegerFile result;
  result.machine_ = &machine;
  result.file_ = std::move(*file);
  result.path_ = path;
  result.sign_ = sign;
  return result;
}

Reading IntegerFile::failed(std::span<const char> buffer, std::int64_t count) noexcept {
  int fault = 0;
  if (count < 0) {
    fault = static_cast<int>(-count);
  } else if (count >= static_cast<std::int64_t>(buffer.size())) {
    fault = -static_cast<int>(ParseFault::too_large);
  } else {
    std::int64_t ignored = 0;
    fault = -static_cast<int>(parse_sensor_integer(buffer.subspan(0, static_cast<std::size_t>(count)), sign_, ignored));
  }
  std::atomic_ref(fault_).store(fault, std::memory_order_relaxed);
  std::atomic_ref(untold_).store(fault, std::memory_order_relaxed);
  // A driver that was reloaded leaves this descriptor dead for ever: only a new open sees the new file.
  if (const auto now = machine_->now().ns; now >= next_reopen_ns_) {
    next_reopen_ns_ = now + reopen_pause_ns;
    (void)file_->reopen();
  }
  return {0, Quality::gap};
}

std::optional<Error> IntegerFile::fault() const {
  return told(std::atomic_ref(fault_).load(std::memory_order_relaxed));
}

std::optional<Error> IntegerFile::take_fault() {
  return told(std::atomic_ref(untold_).exchange(0, std::memory_order_relaxed));
}

std::optional<Error> IntegerFile::told(int fault) const {
  if (fault == 0) return std::nullopt;
  if (fault > 0) return error_from_errno(fault, path_, "cannot read");
  const auto malformed = [&](const char* what) { return Error{ErrorCode::malformed, what, path_, {}}; };
  switch (static_cast<ParseFault>(-fault)) {
    case ParseFault::empty: return malformed("is empty");
    case ParseFault::negative: return malformed("holds a negative number where only a count can be");
    case ParseFault::too_large: return malformed("holds a number too long for 64 bits");
    default: return malformed("holds something that is not an integer");
  }
}

}  // namespace prony
