// Names of requests in one fact, "requests.failed" and its like: by commas, so that a name's own are written otherwise.
#pragma once

#include <string>
#include <string_view>

namespace prony {

// "a,b" → "a%2Cb", "50%" → "50%25": what stands between the commas of the list.
[[nodiscard]] inline std::string as_listed(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (c == ',')
      text += "%2C";
    else if (c == '%')
      text += "%25";
    else
      text += c;
  }
  return text;
}

}  // namespace prony
