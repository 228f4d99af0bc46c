#include "layers/json_reader.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "layers/plain_decimal.hpp"

namespace prony::layers {

namespace {

void append_utf8(std::string& text, unsigned code) {
  const auto put = [&](unsigned byte) { text += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0u | code >> 6);
    put(0x80u | (code & 0x3fu));
  } else if (code < 0x10000) {
    put(0xe0u | code >> 12);
    put(0x80u | (code >> 6 & 0x3fu));
    put(0x80u | (code & 0x3fu));
  } else {
    put(0xf0u | code >> 18);
    put(0x80u | (code >> 12 & 0x3fu));
    put(0x80u | (code >> 6 & 0x3fu));
    put(0x80u | (code & 0x3fu));
  }
}

// What a JSON text holds, while it is read: the inside of a double-encoded document.
class InsideOfText final : public ByteSource {
 public:
  InsideOfText(ByteSource& source, std::string_view already) : source_(source), in_(already) {}
  Result<std::size_t> read(char* into, std::size_t most) override {
    std::size_t made = 0;
    while (made < most && !over_) {
      const auto byte = take();
      if (!byte) return Unexpected<Error>(byte.error());
      if (*byte < 0) return fail(ErrorCode::malformed, "the text that holds the document has no end");
      if (*byte == '"') {
        over_ = true;
      } else if (*byte != '\\') {
        into[made++] = static_cast<char>(*byte);
      } else if (const auto escaped = escape(); !escaped) {
        return Unexpected<Error>(escaped.error());
      } else {
        into[made++] = *escaped;
      }
    }
    return made;
  }

 private:
  Result<int> take() {
    if (at_ == in_.size()) {
      in_.resize(64 * 1024);
      const auto got = source_.read(in_.data(), in_.size());
      if (!got) return Unexpected<Error>(got.error());
      in_.resize(*got);
      at_ = 0;
      if (*got == 0) return -1;
    }
    return static_cast<int>(static_cast<unsigned char>(in_[at_++]));
  }
  Result<char> escape() {
    const auto byte = take();
    if (!byte) return Unexpected<Error>(byte.error());
    switch (*byte) {
      case 'n': return '\n';
      case 't': return '\t';
      case 'r': return '\r';
      case '"': return '"';
      case '\\': return '\\';
      case '/': return '/';
      default:
        return fail(ErrorCode::malformed, "the text that holds the document has an escape that JSON never needs");
    }
  }

  ByteSource& source_;
  std::string in_;
  std::size_t at_ = 0;
  bool over_ = false;
};

bool is_blank(int byte) { return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r'; }

bool is_bare(int byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '-' ||
         byte == '+' || byte == '.';
}

bool is_plain(char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20; }

// Whether all of eight bytes are plain. A byte above 0x7f may be taken for one that is not; it is looked at alone then.
bool are_plain(const char* bytes) {
  constexpr std::uint64_t ones = 0x0101'0101'0101'0101, tops = 0x80 * ones;
  std::uint64_t eight = 0;
  std::memcpy(&eight, bytes, sizeof eight);
  const std::uint64_t quotes = (eight ^ ('"' * ones)) - ones, slashes = (eight ^ ('\\' * ones)) - ones;
  return ((quotes | slashes | (eight - 0x20 * ones) | eight) & tops) == 0;
}

// -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
bool is_json_number(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t from = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - from;
  };
  if (at < text.size() && text[at] == '-') ++at;
  const std::size_t first = at;
  const std::size_t whole = digits();
  if (whole == 0 || (whole > 1 && text[first] == '0')) return false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (digits() == 0) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

bool is_word(std::string_view text) {
  static constexpr std::array<std::string_view, 6> words{"true", "false", "null", "NaN", "Infinity", "-Infinity"};
  return std::ranges::find(words, text) != words.end();
}

}  // namespace

JsonReader::JsonReader(ByteSource& source) : source_(&source), buffer_(longest_token) {}

std::optional<double> JsonReader::number() const noexcept {
  if (number_) return number_;
  double value = 0;
  const auto read = std::from_chars(text_.data(), text_.data() + text_.size(), value);
  if (read.ec != std::errc() || read.ptr != text_.data() + text_.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

bool JsonReader::refill() {
  if (source_ended_ || failed_) return false;
  if (kept_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + kept_, end_ - kept_);
    before_ += kept_;
    at_ -= kept_;
    end_ -= kept_;
    kept_ = 0;
  }
  if (end_ == buffer_.size()) {
    (void)bad("a text or number longer than 1 MiB");
    return false;
  }
  // As much as stays in a processor's cache until it is read.
  constexpr std::size_t piece = 128 * 1024;
  const auto got = source_->read(buffer_.data() + end_, std::min(buffer_.size() - end_, piece));
  if (!got) {
    error_ = got.error();
    failed_ = true;
    return false;
  }
  if (*got == 0) source_ended_ = true;
  end_ += *got;
  return *got > 0;
}

int JsonReader::look() {
  if (at_ == end_ && !refill()) return -1;
  return static_cast<int>(static_cast<unsigned char>(buffer_[at_]));
}

int JsonReader::look_past_blanks() {
  while (true) {
    while (at_ < end_ && is_blank(buffer_[at_])) ++at_;
    kept_ = at_;
    if (at_ < end_) return static_cast<int>(static_cast<unsigned char>(buffer_[at_]));
    if (!refill()) return -1;
  }
}

JsonToken JsonReader::bad(const std::string& what) {
  if (!failed_) error_ = Error{ErrorCode::malformed, what + " at byte " + std::to_string(before_ + at_ + 1), {}, {}};
  failed_ = true;
  return JsonToken::error;
}

void JsonReader::value_is_over() noexcept { expect_ = open_ == 0 ? Expect::nothing : Expect::comma; }

JsonToken JsonReader::open(bool object) {
  if (open_ == deepest) return bad("more than 64 levels of brackets");
  ++at_;
  objects_ = objects_ << 1 | static_cast<std::uint64_t>(object);
  ++open_;
  expect_ = object ? Expect::first_key : Expect::first_value;
  return object ? JsonToken::begin_object : JsonToken::begin_array;
}

JsonToken JsonReader::close(bool object) {
  if (open_ == 0 || ((objects_ & 1) != 0) != object) return bad("a closing bracket that nothing opened");
  ++at_;
  objects_ >>= 1;
  --open_;
  value_is_over();
  return object ? JsonToken::end_object : JsonToken::end_array;
}

std::optional<unsigned> JsonReader::four_digits() {
  unsigned code = 0;
  for (int i = 0; i < 4; ++i) {
    const int byte = look();
    unsigned digit = 0;
    if (byte >= '0' && byte <= '9')
      digit = static_cast<unsigned>(byte - '0');
    else if (byte >= 'a' && byte <= 'f')
      digit = static_cast<unsigned>(byte - 'a') + 10;
    else if (byte >= 'A' && byte <= 'F')
      digit = static_cast<unsigned>(byte - 'A') + 10;
    else
      return std::nullopt;
    code = code << 4 | digit;
    ++at_;
  }
  return code;
}

bool JsonReader::escape() {
  const int byte = look();
  if (byte < 0) return false;
  ++at_;
  switch (byte) {
    case '"': own_ += '"'; return true;
    case '\\': own_ += '\\'; return true;
    case '/': own_ += '/'; return true;
    case 'b': own_ += '\b'; return true;
    case 'f': own_ += '\f'; return true;
    case 'n': own_ += '\n'; return true;
    case 'r': own_ += '\r'; return true;
    case 't': own_ += '\t'; return true;
    case 'u': break;
    default: return false;
  }
  auto code = four_digits();
  if (!code) return false;
  if (*code >= 0xd800 && *code < 0xdc00) {  // the first half of a pair
    if (look() != '\\') return false;
    ++at_;
    if (look() != 'u') return false;
    ++at_;
    const auto low = four_digits();
    if (!low || *low < 0xdc00 || *low > 0xdfff) return false;
    code = 0x10000 + ((*code - 0xd800) << 10) + (*low - 0xdc00);
  } else if (*code >= 0xdc00 && *code <= 0xdfff) {
    return false;
  }
  append_utf8(own_, *code);
  return true;
}

void JsonReader::pass_plain() noexcept {
  while (end_ - at_ >= 8 && are_plain(buffer_.data() + at_)) at_ += 8;
  while (at_ < end_ && is_plain(buffer_[at_])) ++at_;
}

JsonToken JsonReader::text_token(JsonToken kind) {
  ++at_;
  kept_ = at_;
  number_.reset();
  bool plain = true;
  own_.clear();
  while (true) {
    if (plain) pass_plain();
    const int byte = look();
    if (byte < 0) return bad("the end within a text");
    if (byte == '"') break;
    if (byte < 0x20) return bad("a control character within a text");
    if (byte == '\\') {
      if (plain) own_.assign(buffer_.data() + kept_, at_ - kept_);
      plain = false;
      ++at_;
      if (!escape()) return bad("an escape that JSON does not know");
      if (own_.size() > longest_token) return bad("a text longer than 1 MiB");
      kept_ = at_;
    } else {
      if (!plain) own_ += static_cast<char>(byte);
      ++at_;
    }
  }
  text_ = plain ? std::string_view(buffer_.data() + kept_, at_ - kept_) : std::string_view(own_);
  ++at_;
  if (kind == JsonToken::key)
    expect_ = Expect::colon;
  else
    value_is_over();
  return kind;
}

JsonToken JsonReader::bare_token() {
  kept_ = at_;
  number_.reset();
  const char* const from = buffer_.data() + at_;
  const char* const end = buffer_.data() + end_;
  if (const auto plain = plain_decimal(from, end);
      plain && plain->end < end && !is_bare(static_cast<unsigned char>(*plain->end))) {
    at_ += static_cast<std::size_t>(plain->end - from);
    text_ = {from, plain->end};
    number_ = plain->value;
    value_is_over();
    return JsonToken::number;
  }
  while (true) {
    while (at_ < end_ && is_bare(static_cast<unsigned char>(buffer_[at_]))) ++at_;
    const int byte = look();
    if (byte < 0 || !is_bare(byte)) break;
    ++at_;
  }
  if (failed_) return JsonToken::error;
  text_ = {buffer_.data() + kept_, at_ - kept_};
  if (text_.empty()) return bad("something that is no JSON");
  const bool letter = text_.front() >= 'A' || text_.back() >= 'A';
  if (letter && is_word(text_)) {
    value_is_over();
    return JsonToken::word;
  }
  if (!is_json_number(text_)) return bad("something that is neither a number nor a word of JSON");
  value_is_over();
  return JsonToken::number;
}

JsonToken JsonReader::value(int byte) {
  if (byte == '{') return open(true);
  if (byte == '[') return open(false);
  if (byte != '"') return bare_token();
  if (open_ == 0 && !started_ && !wrapped_) {
    // A document that is one text: what it holds is the document.
    ++at_;
    wrapped_ = true;
    unwrapping_ = std::make_unique<InsideOfText>(*source_, std::string_view(buffer_.data() + at_, end_ - at_));
    source_ = unwrapping_.get();
    at_ = end_ = kept_ = 0;
    before_ = 0;
    return next();
  }
  return text_token(JsonToken::text);
}

JsonToken JsonReader::next() {
  if (failed_) return JsonToken::error;
  while (true) {
    const int byte = look_past_blanks();
    if (failed_) return JsonToken::error;
    if (byte < 0) {
      if (expect_ == Expect::nothing) return JsonToken::end;
      return bad("the end where more was promised (is the file cut off?)");
    }
    switch (expect_) {
      case Expect::nothing: return bad("more behind the end of the document");
      case Expect::colon:
        if (byte != ':') return bad("no colon behind a key");
        ++at_;
        expect_ = Expect::value;
        continue;
      case Expect::comma:
        if (byte == '}') return close(true);
        if (byte == ']') return close(false);
        if (byte != ',') return bad("neither a comma nor a closing bracket");
        ++at_;
        expect_ = (objects_ & 1) != 0 ? Expect::key : Expect::value;
        continue;
      case Expect::first_key:
        if (byte == '}') return close(true);
        [[fallthrough]];
      case Expect::key:
        if (byte != '"') return bad("no key where one is due");
        return text_token(JsonToken::key);
      case Expect::first_value:
        if (byte == ']') return close(false);
        [[fallthrough]];
      case Expect::value: {
        const JsonToken token = value(byte);
        started_ = true;
        return token;
      }
    }
  }
}

bool JsonReader::skip(JsonToken token) {
  if (token != JsonToken::begin_object && token != JsonToken::begin_array) return token != JsonToken::error;
  for (std::size_t open = 1; open > 0;) {
    token = next();
    if (token == JsonToken::error || token == JsonToken::end) return false;
    if (token == JsonToken::begin_object || token == JsonToken::begin_array) ++open;
    if (token == JsonToken::end_object || token == JsonToken::end_array) --open;
  }
  return true;
}

}  // namespace prony::layers
