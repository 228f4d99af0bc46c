// WebConfig: who may ask, and over which line: the web configuration file that Prometheus's own exporters take, as far
// as it is used here: tls_server_config (cert_file, key_file, min_version) and basic_auth_users (bcrypt). Anything else
// in the file is an error, for a lock that is not understood must not look locked. Passwords are compared by libcrypt,
// opened while Prony runs. Thread promise: plain values; Gate: one thread at a time. Errors: malformed with the line;
// usage where a setting is not to be had here; absent, denied of the files it names; unavailable without libcrypt.
// Source: prometheus/exporter-toolkit docs/web-configuration.md, crypt(3).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace prony {

struct WebConfig {
  std::string certificate_file, key_file;    // as written, relative ones beside the configuration; "": no TLS
  bool tls13_only = false;                   // else TLS 1.2 at least
  std::map<std::string, std::string> users;  // name → bcrypt hash; empty: nobody is asked for a password
};
// Pure: the text of such a file; `where` is named by errors.
[[nodiscard]] Result<WebConfig> parse_web_config(std::string_view text, const std::string& where);
// Reads it; relative names of files lie beside it.
[[nodiscard]] Result<WebConfig> read_web_config(const std::string& path);

// Decides by the header "Authorization" who may pass. A password that was right once is compared without bcrypt, which
// takes a tenth of a second; wrong ones cost the time of bcrypt, and only a few a second are looked at.
class Gate {
 public:
  enum class Answer { pass, refuse, too_often };
  // Errors: unavailable.
  [[nodiscard]] static Result<Gate> make(const WebConfig& config);
  // `header`: its content; null: there is none. `now_ns`: any steady clock.
  [[nodiscard]] Answer ask(const char* header, std::int64_t now_ns);
  [[nodiscard]] bool open() const noexcept { return users_.empty(); }

 private:
  using Crypt = char* (*)(const char* phrase, const char* setting, void* data, int size);
  Gate() = default;
  [[nodiscard]] bool matches(const std::string& user, const std::string& password) const;

  std::map<std::string, std::string> users_;
  std::map<std::string, std::string> passed_;  // name → password that was right
  DynLib library_;
  Crypt crypt_ = nullptr;
  double looks_left_ = 0;
  std::optional<std::int64_t> looked_ns_;
};

// In a time that depends on the length of `given` alone.
[[nodiscard]] bool same_secret(std::string_view expected, std::string_view given) noexcept;
// RFC 4648; nullopt: not base64.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

}  // namespace prony
