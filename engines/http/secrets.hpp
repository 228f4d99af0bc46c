// What nobody is to read, kept out of what a server says: servers repeat the key that they refuse, and who is told of
// that prints and keeps it. Pure; any thread. Errors: none.
#pragma once

#include <span>
#include <string>

namespace prony_http {

// `text` with "***" in the place of each of `secrets` (those shorter than eight characters only where they are a word),
// also where it was cut in the midst of one ("sk-12…"), and of what looks like a key after "Bearer ".
[[nodiscard]] std::string without_secrets(std::string text, std::span<const std::string> secrets);

}  // namespace prony_http
