#include "sensors/klap.hpp"

#include <array>
#include <utility>

#include "machine/meter.hpp"
#include "sensors/plug_limits.hpp"

namespace prony {

namespace {

constexpr std::size_t seed_bytes = 16, digest_bytes = 32;

// Who a plug lets in besides its owner: nobody yet tied it to an account, or it was set up by an app without one.
// Source: python-kasa, kasa/credentials.py.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> without_account{
    {{"", ""}, {"kasa@tp-link.net", "kasaSetup"}, {"test@tp-link.net", "test"}}};

std::string big_endian(std::uint32_t number) {
  std::string bytes;
  for (const unsigned shift : {24u, 16u, 8u, 0u}) bytes += static_cast<char>((number >> shift) & 0xffu);
  return bytes;
}

std::uint32_t from_big_endian(std::string_view bytes) {
  std::uint32_t number = 0;
  for (const char c : bytes) number = (number << 8) | static_cast<unsigned char>(c);
  return number;
}

// "TP_SESSIONID=…" of "TP_SESSIONID=…;TIMEOUT=86400"; "": there is none that can be sent back.
std::string session_cookie(const std::string& header) {
  const std::size_t begin = header.find("TP_SESSIONID=");
  if (begin == std::string::npos) return {};
  auto cookie = header.substr(begin, header.find_first_of("; ,", begin) - begin);
  return cookie.size() > 256 || cookie.find_first_of("\r\n") != std::string::npos ? std::string() : cookie;
}

}  // namespace

KlapSession::KlapSession(std::string address, std::string user, std::string password, std::unique_ptr<Crypto> crypto)
    : address_(std::move(address)),
      user_(std::move(user)),
      password_(std::move(password)),
      crypto_(std::move(crypto)) {}

std::string KlapSession::sha256(const std::string& bytes) const { return crypto_->digest(DigestKind::sha256, bytes); }

std::string KlapSession::hash_of(std::string_view user, std::string_view password, bool second) const {
  const auto inner = second ? DigestKind::sha1 : DigestKind::md5;
  const auto of_user = crypto_->digest(inner, user), of_password = crypto_->digest(inner, password);
  if (of_user.empty() || of_password.empty()) return {};
  return crypto_->digest(second ? DigestKind::sha256 : DigestKind::md5, of_user + of_password);
}

std::optional<std::string> KlapSession::fitting(const std::string& local, const std::string& remote,
                                                const std::string& proof) {
  for (std::size_t i = user_.empty() ? 1 : 0; i <= without_account.size(); ++i)
    for (const bool second : {true, false}) {
      const auto hash = i == 0 ? hash_of(user_, password_, second)
                               : hash_of(without_account[i - 1].first, without_account[i - 1].second, second);
      if (hash.empty() || sha256(second ? local + remote + hash : local + hash) != proof) continue;
      second_form_ = second;
      return hash;
    }
  return std::nullopt;
}

Result<HttpResponse> KlapSession::post(Network& network, const std::string& path, std::string body) const {
  HttpRequest request;
  request.method = "POST";
  request.url = address_ + path;
  request.headers = {"Content-Type: application/octet-stream"};
  if (!cookie_.empty()) request.headers.push_back("Cookie: " + cookie_);
  request.body = std::move(body);
  request.deadline = plug_deadline;
  request.most_bytes = most_plug_bytes;
  return network.http(request);
}

Result<void> KlapSession::shake(Network& network) {
  keys_.reset(), cookie_.clear();
  const auto local = crypto_->random(seed_bytes);
  if (!local) return Unexpected<Error>(local.error());
  const auto first = post(network, "/app/handshake1", *local);
  if (!first) return Unexpected<Error>(first.error());
  if (first->status == 403)
    return fail(
        ErrorCode::denied, "it refuses the handshake of KLAP: its firmware wants a newer protocol (TPAP)",
        address_ + "/app/handshake1",
        "In the app of Tapo or Kasa switch on Me → Third-Party Services or Settings → Third-Party Compatibility "
        "(off and on again if it is on).");
  if (first->status != 200 || first->body.size() != seed_bytes + digest_bytes)
    return fail(ErrorCode::absent, "does not speak KLAP", address_ + "/app/handshake1");
  cookie_ = session_cookie(first->header("set-cookie"));
  const auto remote = first->body.substr(0, seed_bytes);
  const auto hash = fitting(*local, remote, first->body.substr(seed_bytes));
  if (!hash)
    return fail(ErrorCode::denied, user_.empty() ? "it wants a user and a password" : "user or password is refused",
                address_,
                "Put the e-mail address and the password of its account in the app (upper and lower case count) into a "
                "file that only you may read, as in a .netrc:  #login=FILE\n  machine " +
                    host_of(address_) + " login E-MAIL password PASSWORD");
  const auto second = post(network, "/app/handshake2", sha256(second_form_ ? remote + *local + *hash : remote + *hash));
  if (!second) return Unexpected<Error>(second.error());
  if (second->status != 200)
    return fail(ErrorCode::transient, "breaks the handshake off: answers " + std::to_string(second->status),
                address_ + "/app/handshake2");
  const auto seeds = *local + remote + *hash;
  const auto block = sha256("iv" + seeds);
  keys_ = Keys{sha256("lsk" + seeds).substr(0, 16), block.substr(0, 12), sha256("ldk" + seeds).substr(0, 28),
               from_big_endian(std::string_view(block).substr(digest_bytes - 4))};
  return {};
}

Result<std::string> KlapSession::exchange(Network& network, std::string_view question) {
  const auto number = big_endian(++keys_->sequence);
  const auto first_block = keys_->first_block + number;
  const auto hidden = crypto_->encrypt(keys_->key, first_block, question);
  if (!hidden) return Unexpected<Error>(hidden.error());
  const auto path = "/app/request?seq=" + std::to_string(static_cast<std::int32_t>(keys_->sequence));
  const auto response = post(network, path, sha256(keys_->signature + number + *hidden) + *hidden);
  if (!response) return Unexpected<Error>(response.error());
  if (response->status == 403) return fail(ErrorCode::gone, "has ended the session", address_);
  if (response->status != 200)
    return fail(ErrorCode::transient, "answers " + std::to_string(response->status), address_ + path);
  if (response->body.size() <= digest_bytes)
    return fail(ErrorCode::malformed, "answers with nothing behind a signature", address_);
  auto answer = crypto_->decrypt(keys_->key, first_block, std::string_view(response->body).substr(digest_bytes));
  if (!answer) return fail(ErrorCode::malformed, "answers with what its session's key does not open", address_);
  return answer;
}

Result<std::string> KlapSession::ask(Network& network, std::string_view question) {
  const bool fresh = !keys_;
  if (fresh)
    if (auto in = shake(network); !in) return Unexpected<Error>(in.error());
  auto answer = exchange(network, question);
  if (answer) return answer;
  // Sessions end after a day, some firmwares end one after each question; one that was just made has no excuse. After
  // any failure both sides may count differently.
  keys_.reset();
  const auto code = answer.error().code;
  const bool ended = code == ErrorCode::gone || code == ErrorCode::malformed;
  if (fresh || !ended) return answer;
  if (auto in = shake(network); !in) return Unexpected<Error>(in.error());
  answer = exchange(network, question);
  if (!answer) keys_.reset();
  return answer;
}

}  // namespace prony
