// What kind of absence a reason tells: every reason in a Run and in `prony sensors` is a sentence for people; scripts
// want one word. The sentences are Prony's own and the C library's for an errno, so the word follows from them, also
// for Runs that were recorded before there was one. Thread promise: a pure function.
#pragma once

#include <string_view>

namespace prony {

// As to_string(ErrorCode): "denied" (is there, but this user may not), "gone" (was there and left), "malformed"
// (answers with what is no value), "transient" (may work at the next try), "absent" (no such file or device); else
// "unavailable": the reason says why.
[[nodiscard]] std::string_view absence_kind(std::string_view reason) noexcept;

}  // namespace prony
