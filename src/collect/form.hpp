// What programs of HeFlwr's dialects post: urlencoded forms, to /simple_log with `identifier` and `message`, to /log
// with all fields of a Python LogRecord. Parsed from strangers' bytes, bounded. A message that is a row of its monitors
// ("Cpu Usage: 0.9%, Memory Usage: 1.66%, Bytes Sent: 21859, …") is taken apart into numbers with their units.
// Thread promise: pure. Errors: malformed; full where a limit is passed. Source: HeFlwr 0.1.9, heflwr.monitor and
// heflwr.log; WHATWG URL, application/x-www-form-urlencoded.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace prony::collect {

// The first of each name. Invalid %-escapes stay as they are, as browsers have it.
[[nodiscard]] Result<std::map<std::string, std::string>> parse_form(std::string_view body);

// Those fields of a row that are there; powers are of a moment, bytes since the row before.
struct LogNumbers {
  std::optional<double> cpu_percent, memory_percent, vdd_in_mw, vdd_cpu_gpu_cv_mw, vdd_soc_mw;
  std::optional<std::uint64_t> bytes_sent, bytes_received;
  bool operator==(const LogNumbers&) const = default;
};

struct LogEntry {
  std::string identifier, message, level;  // level: "" in the simple dialect
  std::optional<std::int64_t> created_ns;  // by the sender's wall clock; absent in the simple dialect
  LogNumbers numbers;
  std::string stream;                     // an addition of Prony's: with `sequence` a message that comes twice is
  std::optional<std::uint64_t> sequence;  // known again; both are there, or neither
};
[[nodiscard]] Result<LogEntry> parse_log_entry(std::string_view body);

[[nodiscard]] LogNumbers numbers_of(std::string_view message);

}  // namespace prony::collect
