#include "model/absence.hpp"

#include <array>
#include <utility>

#include "base/result.hpp"

namespace prony {

std::string_view absence_kind(std::string_view reason) noexcept {
  using Sign = std::pair<std::string_view, ErrorCode>;
  // In this order: "permission denied" wins over what else a sentence says.
  static constexpr std::array<Sign, 22> signs{{{"ermission denied", ErrorCode::denied},
                                               {"is not there", ErrorCode::absent},
                                               {"not permitted", ErrorCode::denied},
                                               {"Read-only file system", ErrorCode::denied},
                                               {"No such device", ErrorCode::gone},
                                               {"No such process", ErrorCode::gone},
                                               {"not connected", ErrorCode::gone},
                                               {"is no longer", ErrorCode::gone},
                                               {"is empty", ErrorCode::malformed},
                                               {"not an integer", ErrorCode::malformed},
                                               {"not as a number", ErrorCode::malformed},
                                               {"negative number where", ErrorCode::malformed},
                                               {"too long for 64 bits", ErrorCode::malformed},
                                               {"is not the", ErrorCode::malformed},
                                               {"Input/output error", ErrorCode::transient},
                                               {"temporarily unavailable", ErrorCode::transient},
                                               {"Interrupted system call", ErrorCode::transient},
                                               {"No such file or directory", ErrorCode::absent},
                                               {"Not a directory", ErrorCode::absent},
                                               {"not on this machine", ErrorCode::absent},
                                               {"No space left", ErrorCode::full},
                                               {"quota exceeded", ErrorCode::full}}};
  for (const auto& [words, code] : signs)
    if (reason.find(words) != std::string_view::npos) return to_string(code);
  return to_string(ErrorCode::unavailable);
}

}  // namespace prony
