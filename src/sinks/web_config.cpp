#include "sinks/web_config.hpp"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr std::size_t largest_web_config = 65536;
constexpr int crypt_data_bytes = 32768;  // struct crypt_data of libxcrypt
// Of nobody: tells whether bcrypt works at all.
constexpr const char* nobodys_hash = "$2b$10$abcdefghijklmnopqrstuu4T826PRnz0Hu6YlprUuxkZxOOj5Fw5S";

struct Line {
  std::size_t number = 0;
  bool inner = false;
  std::string key, value;
};

Error error_in(const std::string& where, std::size_t line, const std::string& what) {
  return {ErrorCode::malformed, "line " + std::to_string(line) + ": " + what, where,
          "tls_server_config with cert_file, key_file, min_version and basic_auth_users with bcrypt hashes are "
          "understood (docs/sinks/prometheus.md)."};
}

Unexpected<Error> wrong(const std::string& where, std::size_t line, const std::string& what) {
  return Unexpected<Error>(error_in(where, line, what));
}

// A plain, 'single' or "double" quoted scalar without escapes; nullopt: anything else that YAML has.
std::optional<std::string> scalar(std::string_view text) {
  text = trim(text);
  if (text.empty()) return std::string();
  if (text.front() == '\'' || text.front() == '"') {
    const std::size_t end = text.find(text.front(), 1);
    if (end == std::string_view::npos || text.substr(0, end).find('\\') != std::string_view::npos) return std::nullopt;
    const std::string_view rest = trim(text.substr(end + 1));
    if (!rest.empty() && rest.front() != '#') return std::nullopt;
    return std::string(text.substr(1, end - 1));
  }
  if (std::string_view("{}[]&*!|>%@`-?,").find(text.front()) != std::string_view::npos) return std::nullopt;
  if (const std::size_t comment = text.find(" #"); comment != std::string_view::npos) text = text.substr(0, comment);
  return std::string(trim(text));
}

// Where the key of a line ends; npos: it has none.
std::size_t end_of_key(std::string_view text) {
  if (text.front() == '"' || text.front() == '\'') {
    const std::size_t quote = text.find(text.front(), 1);
    if (quote == std::string_view::npos) return quote;
    const std::size_t colon = text.find_first_not_of(' ', quote + 1);
    return colon != std::string_view::npos && text[colon] == ':' ? colon : std::string_view::npos;
  }
  const std::size_t colon = text.find(": ");
  return colon != std::string_view::npos ? colon : (text.back() == ':' ? text.size() - 1 : std::string_view::npos);
}

Result<std::vector<Line>> lines_of(std::string_view text, const std::string& where) {
  std::vector<Line> lines;
  std::optional<Error> error;
  std::size_t number = 0;
  for_each_line(text, [&](std::string_view raw) {
    ++number;
    if (error) return;
    const std::string_view words = trim(raw);
    if (words.empty() || words.front() == '#' || words == "---") return;
    if (raw.find('\t') != std::string_view::npos || raw.find('\0') != std::string_view::npos)
      return error = error_in(where, number, "a tab or NUL"), void();
    const std::size_t colon = end_of_key(words);
    const auto key = colon == std::string_view::npos ? std::nullopt : scalar(words.substr(0, colon));
    const auto value = key ? scalar(words.substr(colon + 1)) : std::nullopt;
    if (!key || key->empty() || !value) return error = error_in(where, number, "not 'key: value' on one line"), void();
    lines.push_back({number, raw.front() == ' ', *key, value->starts_with('#') ? std::string() : *value});
  });
  if (error) return Unexpected<Error>(*error);
  return lines;
}

Result<void> take_tls(WebConfig& config, const Line& line, const std::string& where) {
  if (line.key == "cert_file") {
    config.certificate_file = line.value;
  } else if (line.key == "key_file") {
    config.key_file = line.value;
  } else if (line.key == "min_version" && (line.value == "TLS12" || line.value == "TLS13")) {
    config.tls13_only = line.value == "TLS13";
  } else if (line.key == "client_auth_type" && (line.value.empty() || line.value == "NoClientCert")) {
  } else {
    return wrong(where, line.number, "'" + printable(line.key + ": " + line.value, 60) + "' is not to be had here");
  }
  return {};
}

Result<void> take_user(WebConfig& config, const Line& line, const std::string& where) {
  const std::string& hash = line.value;
  const bool bcrypt =
      hash.size() == 60 && (hash.starts_with("$2a$") || hash.starts_with("$2b$") || hash.starts_with("$2y$"));
  if (!bcrypt) return wrong(where, line.number, "the password of a user is not a bcrypt hash (htpasswd -nB NAME)");
  if (line.key.find(':') != std::string::npos) return wrong(where, line.number, "a user's name may hold no ':'");
  if (!config.users.emplace(line.key, hash).second) return wrong(where, line.number, "this user is there twice");
  return {};
}

}  // namespace

Result<WebConfig> parse_web_config(std::string_view text, const std::string& where) {
  const auto lines = lines_of(text, where);
  if (!lines) return Unexpected<Error>(lines.error());
  WebConfig config;
  std::string section;
  bool tls = false;
  for (const Line& line : *lines) {
    if (!line.inner) {
      section = line.key;
      const bool known = section == "tls_server_config" || section == "basic_auth_users";
      if (!known || !line.value.empty())
        return wrong(where, line.number, "'" + printable(section, 40) + "' is no section that is understood here");
      tls = tls || section == "tls_server_config";
      continue;
    }
    if (section.empty()) return wrong(where, line.number, "it belongs to no section");
    const auto taken = section == "tls_server_config" ? take_tls(config, line, where) : take_user(config, line, where);
    if (!taken) return Unexpected<Error>(taken.error());
  }
  if (tls && (config.certificate_file.empty() || config.key_file.empty()))
    return wrong(where, lines->size(), "tls_server_config needs cert_file and key_file");
  if (!tls && config.users.empty())
    return wrong(where, 1, "neither tls_server_config nor basic_auth_users is there, so nothing would be locked");
  return config;
}

Result<WebConfig> read_web_config(const std::string& path) {
  const auto text = read_whole_file(path, largest_web_config);
  if (!text) return Unexpected<Error>(text.error());
  auto config = parse_web_config(*text, path);
  if (!config) return config;
  const std::filesystem::path beside = std::filesystem::path(path).parent_path();
  for (std::string* file : {&config->certificate_file, &config->key_file})
    if (!file->empty()) *file = (beside / *file).string();  // an absolute one stays as it is
  return config;
}

bool same_secret(std::string_view expected, std::string_view given) noexcept {
  unsigned different = expected.size() == given.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char other = expected.empty() ? '\0' : expected[i % expected.size()];
    different |= static_cast<unsigned char>(static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(other));
  }
  return different == 0;
}

std::optional<std::string> from_base64(std::string_view text) {
  static constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes;
  unsigned held = 0;
  int bits = 0;
  std::size_t padding = 0;
  for (const char c : text) {
    if (c == '=') {
      if (++padding > 2) return std::nullopt;
      continue;
    }
    const std::size_t digit = letters.find(c);
    if (digit == std::string_view::npos || padding > 0) return std::nullopt;
    held = ((held << 6) | static_cast<unsigned>(digit)) & 0xFFFFFFU;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes += static_cast<char>(static_cast<unsigned char>((held >> bits) & 0xFFU));
  }
  return bytes;
}

Result<Gate> Gate::make(const WebConfig& config) {
  Gate gate;
  gate.users_ = config.users;
  if (gate.users_.empty()) return gate;
  for (const char* name : {"libcrypt.so.1", "libcrypt.so.2"}) {
    auto library = DynLib::open(name);
    if (!library) continue;
    gate.library_ = std::move(*library);
    gate.crypt_ = reinterpret_cast<Crypt>(gate.library_.symbol("crypt_rn"));
    if (gate.crypt_ != nullptr) break;
  }
  if (gate.crypt_ == nullptr || !gate.hashed("x", nobodys_hash).starts_with("$2b$10$"))
    return fail(ErrorCode::unavailable, "this system's libcrypt knows no bcrypt", "basic_auth_users",
                "Install libcrypt1 (libxcrypt), or leave basic_auth_users out.");
  // "$2b$12$…": its two digits are the cost.
  gate.slowest_ =
      std::ranges::max_element(gate.users_, {}, [](const auto& user) { return user.second.substr(4, 2); })->second;
  return gate;
}

std::string Gate::hashed(const std::string& password, const std::string& setting) const {
  std::vector<char> data(crypt_data_bytes, '\0');
  const char* made = crypt_(password.c_str(), setting.c_str(), data.data(), crypt_data_bytes);
  return made == nullptr ? std::string() : std::string(made);
}

bool Gate::compare(const Guess& guess) const {
  const auto known = users_.find(guess.user);
  const std::string& expected = known == users_.end() ? slowest_ : known->second;
  return same_secret(expected, hashed(guess.password, expected)) && known != users_.end();
}

Gate::Look Gate::look(const char* header) const {
  if (open()) return {Answer::pass};
  const std::string_view given = header == nullptr ? std::string_view() : std::string_view(header);
  if (given.size() < 6 || nearest_names(given.substr(0, 6), {"basic "}, 1, 0).empty()) return {};
  const auto pair = from_base64(trim(given.substr(6)));
  const std::size_t colon = pair ? pair->find(':') : std::string::npos;
  if (colon == std::string::npos || colon == 0 || pair->find('\0') != std::string::npos) return {};
  Guess guess{pair->substr(0, colon), pair->substr(colon + 1)};
  if (const auto before = passed_.find(guess.user);
      before != passed_.end() && same_secret(before->second, guess.password))
    return {Answer::pass};
  return {Answer::compare, std::move(guess)};
}

}  // namespace prony
