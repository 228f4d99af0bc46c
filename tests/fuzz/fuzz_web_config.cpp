// parts: sinks
// Any bytes as a web configuration or as what a stranger sends for a password: an error or an answer, never a crash; a
// configuration that is accepted locks something; a name that a door on the loopback answers to has no path in it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sinks/door_names.hpp"
#include "sinks/http_door.hpp"
#include "sinks/stream.hpp"
#include "sinks/web_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = prony::parse_web_config(text, "web.yml");
  if (config && config->users.empty() && config->certificate_file.empty()) std::abort();
  (void)prony::from_base64(text);
  (void)prony::parse_door_address(text, 1);
  (void)prony::parse_sink_spec(text);
  const prony::DoorNames names{true, "box", {}};
  const auto host = prony::asked_host(text);
  if (host && (host->empty() || host->find_first_of("/@ ") != std::string::npos)) std::abort();
  if (names.answer_to(text) && !host) std::abort();
  (void)names.foreign(text, text);
  (void)prony::parse_bytes(text);
  return 0;
}
