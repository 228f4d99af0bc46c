// WebConfig: who may ask, and over which line: the web configuration file that Prometheus's own exporters take, as far
// as it is used here: tls_server_config (cert_file, key_file, min_version) and basic_auth_users (bcrypt). Anything else
// in the file is an error, for a lock that is not understood must not look locked. Passwords are compared by libcrypt,
// opened while Prony runs. Thread promise: plain values; Gate says its own. Errors: malformed with the line;
// usage where a setting is not to be had here; absent, denied of the files it names; unavailable without libcrypt.
// Source: prometheus/exporter-toolkit docs/web-configuration.md, crypt(3).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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

// A name and a password that somebody came with.
struct Guess {
  std::string user, password;
};

// Decides by the header "Authorization" who may pass. To compare a password with its bcrypt hash takes a tenth of a
// second, or as long as whoever made the hash wished; one that was right before is compared without. Thread promise:
// look() and remember() by one thread; compare() by any, also meanwhile.
class Gate {
 public:
  enum class Answer { pass, refuse, compare };
  struct Look {
    Answer answer = Answer::refuse;
    Guess guess = {};  // where it has to be compared
  };
  // Errors: unavailable.
  [[nodiscard]] static Result<Gate> make(const WebConfig& config);
  // `header`: its content; null: there is none. Takes no time worth the name.
  [[nodiscard]] Look look(const char* header) const;
  // Slow, and as slow for a name that is nobody's as for the slowest of those that are.
  [[nodiscard]] bool compare(const Guess& guess) const;
  // That this one was right.
  void remember(Guess guess) { passed_.insert_or_assign(std::move(guess.user), std::move(guess.password)); }
  [[nodiscard]] bool open() const noexcept { return users_.empty(); }

 private:
  using Crypt = char* (*)(const char* phrase, const char* setting, void* data, int size);
  Gate() = default;
  [[nodiscard]] std::string hashed(const std::string& password, const std::string& setting) const;

  std::map<std::string, std::string> users_;
  std::map<std::string, std::string> passed_;  // name → password that was right
  std::string slowest_;                        // of the users' hashes
  DynLib library_;
  Crypt crypt_ = nullptr;
};

// In a time that depends on the length of `given` alone.
[[nodiscard]] bool same_secret(std::string_view expected, std::string_view given) noexcept;
// RFC 4648; nullopt: not base64.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

}  // namespace prony
