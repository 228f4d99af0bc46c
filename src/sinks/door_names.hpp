// By which names a door may be asked for. A page in a browser can have a name of its own resolve to this machine and so
// read what listens on the loopback (DNS rebinding), or post to it; both say so in the headers Host and Origin, which a
// browser lets no page choose. Thread promise: pure, but own_host_name. Source: RFC 9110 §7.2, RFC 6454 §7.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace prony {

// The host of "box:9788", "[::1]:9788", "BOX" in small letters, without port, brackets and a dot at its end; nullopt:
// there is none.
[[nodiscard]] std::optional<std::string> asked_host(std::string_view authority);

struct DoorNames {
  bool loopback = true;      // who listens there: an address in numbers is answered to only if it is a loopback one
  std::string machine = {};  // this machine's own name, in small letters
  std::vector<std::string> more;  // that the user has named; "*": any
  // Whether a request with this header Host may be answered.
  [[nodiscard]] bool answer_to(std::string_view host) const;
  // Whether a request with these headers Origin and Host comes from a page of somebody else.
  [[nodiscard]] bool foreign(std::string_view origin, std::string_view host) const;
};

// As gethostname(2) has it, in small letters; "": it has none.
[[nodiscard]] std::string own_host_name();

}  // namespace prony
