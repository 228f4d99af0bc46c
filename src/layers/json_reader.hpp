// JsonReader: JSON a token at a time from a ByteSource, so that a recording of hundreds of megabytes takes a buffer and
// no tree. A document that is itself a JSON text holding JSON (double-encoded, as EdgeProfiler's desktop scripts write
// it) is unwrapped. NaN and Infinity, which Python writes, come as words. Depth is bounded by `deepest`, a token by
// `longest_token`; what is not JSON is an error that names the byte. Thread promise: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "layers/byte_source.hpp"

namespace prony::layers {

enum class JsonToken : std::uint8_t {
  begin_object,
  end_object,
  begin_array,
  end_array,
  key,
  text,
  number,
  word,   // true, false, null, NaN, Infinity, -Infinity
  end,    // of the document; asked again, it stays so
  error,  // error() says what; asked again, it stays so
};

class JsonReader {
 public:
  static constexpr std::size_t deepest = 64;  // bits of objects_
  static constexpr std::size_t longest_token = 1u << 20;

  explicit JsonReader(ByteSource& source);
  [[nodiscard]] JsonToken next();
  // Of a key, text, word or number as it is spelt; valid until the next call.
  [[nodiscard]] std::string_view text() const noexcept { return text_; }
  [[nodiscard]] std::optional<double> number() const noexcept;  // absent: beyond what a double holds
  [[nodiscard]] const Error& error() const noexcept { return error_; }
  [[nodiscard]] bool was_double_encoded() const noexcept { return wrapped_; }
  // After begin_object or begin_array: to its end. After anything else: nothing. false: error().
  [[nodiscard]] bool skip(JsonToken token);

 private:
  enum class Expect : std::uint8_t { value, first_value, first_key, key, colon, comma, nothing };

  [[nodiscard]] bool refill();  // more bytes behind what is kept; false: the end or an error
  [[nodiscard]] int look();     // the next byte, or −1
  [[nodiscard]] int look_past_blanks();
  [[nodiscard]] JsonToken bad(const std::string& what);
  [[nodiscard]] JsonToken value(int byte);
  [[nodiscard]] JsonToken open(bool object);
  [[nodiscard]] JsonToken close(bool object);
  [[nodiscard]] JsonToken text_token(JsonToken kind);
  [[nodiscard]] JsonToken bare_token();
  void pass_plain() noexcept;   // bytes of a text that stand for themselves, as far as the buffer goes
  [[nodiscard]] bool escape();  // appends what the escape stands for to own_
  [[nodiscard]] std::optional<unsigned> four_digits();
  void value_is_over() noexcept;

  ByteSource* source_;
  std::unique_ptr<ByteSource> unwrapping_;
  std::vector<char> buffer_;
  std::size_t at_ = 0, end_ = 0, kept_ = 0;  // bytes from kept_ on stay where a refill moves them to
  std::uint64_t before_ = 0;                 // bytes of the document that left the buffer
  bool source_ended_ = false, wrapped_ = false, started_ = false;
  std::uint64_t objects_ = 0;  // what is open, the innermost in bit 0: an object, or else an array
  std::size_t open_ = 0;       // how many of its bits count
  Expect expect_ = Expect::value;
  std::string own_;
  std::string_view text_;
  std::optional<double> number_;  // of text_, where it was worked out on the way
  Error error_;
  bool failed_ = false;
};

}  // namespace prony::layers
