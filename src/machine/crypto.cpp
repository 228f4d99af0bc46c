#include "machine/crypto.hpp"

#include <array>
#include <limits>
#include <vector>

#include "machine/live_library.hpp"

namespace prony {

namespace {

using Context = void;    // EVP_CIPHER_CTX
using Algorithm = void;  // EVP_CIPHER, EVP_MD: constant tables of the library

constexpr std::array<std::string_view, 2> crypto_names{"libcrypto.so.3", "libcrypto.so.1.1"};
constexpr std::size_t block_bytes = 16, longest_digest = 64;

class LiveCrypto final : public Crypto {
 public:
  explicit LiveCrypto(std::unique_ptr<Library> library) : library_(std::move(library)) {
    take(md5_, "EVP_md5");
    take(sha1_, "EVP_sha1");
    take(sha256_, "EVP_sha256");
    take(digest_, "EVP_Digest");
    take(aes_, "EVP_aes_128_cbc");
    take(context_new_, "EVP_CIPHER_CTX_new");
    take(context_free_, "EVP_CIPHER_CTX_free");
    take(init_, "EVP_CipherInit_ex");
    take(update_, "EVP_CipherUpdate");
    take(final_, "EVP_CipherFinal_ex");
    take(random_, "RAND_bytes");
  }
  [[nodiscard]] const std::string& missing() const noexcept { return missing_; }

  [[nodiscard]] std::string digest(DigestKind kind, std::string_view bytes) override {
    const Algorithm* const algorithm = kind == DigestKind::md5    ? md5_()
                                       : kind == DigestKind::sha1 ? sha1_()
                                                                  : sha256_();
    std::array<unsigned char, longest_digest> out{};
    unsigned size = 0;
    if (digest_(bytes.data(), bytes.size(), out.data(), &size, algorithm, nullptr) != 1 || size > out.size()) return {};
    return {reinterpret_cast<const char*>(out.data()), size};
  }
  [[nodiscard]] Result<std::string> encrypt(std::string_view key, std::string_view first_block,
                                            std::string_view bytes) override {
    return work(key, first_block, bytes, 1);
  }
  [[nodiscard]] Result<std::string> decrypt(std::string_view key, std::string_view first_block,
                                            std::string_view bytes) override {
    return work(key, first_block, bytes, 0);
  }
  [[nodiscard]] Result<std::string> random(std::size_t bytes) override {
    std::string out(bytes, '\0');
    if (random_(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(bytes)) != 1)
      return fail(ErrorCode::unavailable, "gives no random bytes", std::string(library_->name()));
    return out;
  }

 private:
  template <class Signature>
  void take(LibraryFunction<Signature>& function, const char* name) {
    function = LibraryFunction<Signature>(library_->symbol(name));
    if (!function && missing_.empty()) missing_ = name;
  }
  [[nodiscard]] Result<std::string> work(std::string_view key, std::string_view first_block, std::string_view bytes,
                                         int encrypting) {
    if (key.size() != block_bytes || first_block.size() != block_bytes ||
        bytes.size() > std::size_t{std::numeric_limits<int>::max()} / 2)
      return fail(ErrorCode::usage, "takes a key and a first block of 16 bytes each", "AES-128");
    const std::unique_ptr<Context, LibraryFunction<void(Context*)>> context(context_new_(), context_free_);
    std::vector<unsigned char> out(bytes.size() + block_bytes);
    const auto* const in = reinterpret_cast<const unsigned char*>(bytes.data());
    int size = 0, rest = 0;
    const bool done = context != nullptr &&
                      init_(context.get(), aes_(), nullptr, reinterpret_cast<const unsigned char*>(key.data()),
                            reinterpret_cast<const unsigned char*>(first_block.data()), encrypting) == 1 &&
                      update_(context.get(), out.data(), &size, in, static_cast<int>(bytes.size())) == 1 &&
                      final_(context.get(), out.data() + size, &rest) == 1;
    if (!done) return fail(ErrorCode::malformed, "was not encrypted with this key", "AES-128");
    return std::string(reinterpret_cast<const char*>(out.data()), static_cast<std::size_t>(size + rest));
  }

  std::unique_ptr<Library> library_;
  std::string missing_;
  LibraryFunction<const Algorithm*()> md5_, sha1_, sha256_, aes_;
  LibraryFunction<int(const void*, std::size_t, unsigned char*, unsigned*, const Algorithm*, void*)> digest_;
  LibraryFunction<Context*()> context_new_;
  LibraryFunction<void(Context*)> context_free_;
  LibraryFunction<int(Context*, const Algorithm*, void*, const unsigned char*, const unsigned char*, int)> init_;
  LibraryFunction<int(Context*, unsigned char*, int*, const unsigned char*, int)> update_;
  LibraryFunction<int(Context*, unsigned char*, int*)> final_;
  LibraryFunction<int(unsigned char*, int)> random_;
};

}  // namespace

Result<std::unique_ptr<Crypto>> open_live_crypto() {
  auto library = open_live_library(crypto_names);
  if (!library)
    return fail(ErrorCode::unavailable, "this device is asked by way of OpenSSL's library, which is not here",
                library.error().where, "sudo apt install openssl");
  auto crypto = std::make_unique<LiveCrypto>(std::move(*library));
  if (!crypto->missing().empty())
    return fail(ErrorCode::unavailable, "it has no " + crypto->missing(), "libcrypto", "OpenSSL 1.1 or 3 is needed");
  return crypto;
}

}  // namespace prony
