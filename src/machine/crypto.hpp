// Crypto: digests, AES-128 and random bytes, for devices that answer only behind them. libcrypto's (OpenSSL 1.1 or 3),
// opened when such a device is named: nobody links it, and whoever has no such device needs none. Bytes stand in
// std::string. Thread promise: any thread, one at a time. Ownership: keeps its library open. Errors: unavailable (no
// libcrypto, or one that lacks a function), malformed (what was encrypted does not end as it must).
// Source: EVP_DigestInit(3), EVP_EncryptInit(3), RAND_bytes(3).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace prony {

enum class DigestKind { md5, sha1, sha256 };

class Crypto {
 public:
  virtual ~Crypto() = default;
  // "": this library refuses that digest (where a policy of the system forbids MD5).
  [[nodiscard]] virtual std::string digest(DigestKind kind, std::string_view bytes) = 0;
  // AES-128 in CBC mode, filled up as PKCS #7 has it; key and first block of 16 bytes each.
  [[nodiscard]] virtual Result<std::string> encrypt(std::string_view key, std::string_view first_block,
                                                    std::string_view bytes) = 0;
  [[nodiscard]] virtual Result<std::string> decrypt(std::string_view key, std::string_view first_block,
                                                    std::string_view bytes) = 0;
  [[nodiscard]] virtual Result<std::string> random(std::size_t bytes) = 0;
};

// Called by machine's own files; sensors ask their MeterPort.
[[nodiscard]] Result<std::unique_ptr<Crypto>> open_live_crypto();

}  // namespace prony
