// KLAP: what newer plugs of TP-Link (Kasa, Tapo) speak over HTTP instead of the open protocol of older ones: a
// handshake by which both sides show that they know user and password without sending them, then questions and answers
// in JSON, encrypted. Two forms of the handshake are out there; what the plug answers tells which it speaks. Thread
// promise: one thread at a time. Ownership: owns its Crypto; the Network is the caller's. Errors: absent (it does not
// speak KLAP), denied (user or password; or a firmware that speaks a newer protocol only), else as Network's. Source:
// github.com/python-kasa/python-kasa, kasa/transports/klaptransport.py (facts: addresses, digests, order of what is
// digested, sequence number), which names the work of Simon Wilkinson and Chris Weeldon.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "machine/crypto.hpp"
#include "machine/network.hpp"

namespace prony {

class KlapSession {
 public:
  // `address`: "http://192.0.2.7". An empty user: a plug that was never tied to an account answers all the same.
  KlapSession(std::string address, std::string user, std::string password, std::unique_ptr<Crypto> crypto);
  // One question (JSON) and its answer. Makes a session where there is none, and once anew where the plug ended it.
  [[nodiscard]] Result<std::string> ask(Network& network, std::string_view question);
  // The handshake alone: whether this is a plug that speaks KLAP, and lets in who asks.
  [[nodiscard]] Result<void> shake(Network& network);
  // True: the handshake had its second form, which all Tapo plugs and the newest Kasa have.
  [[nodiscard]] bool second_form() const noexcept { return second_form_; }

 private:
  struct Keys {
    std::string key, first_block, signature;  // 16, 12 and 28 bytes
    std::uint32_t sequence = 0;
  };
  [[nodiscard]] Result<HttpResponse> post(Network& network, const std::string& path, std::string body) const;
  [[nodiscard]] Result<std::string> exchange(Network& network, std::string_view question);
  // What user and password become; "": this library refuses the digest.
  [[nodiscard]] std::string hash_of(std::string_view user, std::string_view password, bool second) const;
  // Of all that may let in, the one that the plug's proof fits.
  [[nodiscard]] std::optional<std::string> fitting(const std::string& local, const std::string& remote,
                                                   const std::string& proof);
  [[nodiscard]] std::string sha256(const std::string& bytes) const;

  std::string address_, user_, password_, cookie_;
  std::unique_ptr<Crypto> crypto_;
  std::optional<Keys> keys_;
  bool second_form_ = false;
};

}  // namespace prony
