#include "complexity/gguf.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/text.hpp"
#include "complexity/open_file.hpp"
#include "complexity/tensor_types.hpp"

namespace prony::complexity {

namespace {

enum : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, list, u64, i64, f64 };
constexpr std::size_t longest_name = 65'535;
constexpr std::size_t first_read = 1u << 20;

// Bytes of a value of fixed length; 0: it has none.
std::size_t width_of(std::uint32_t type) {
  switch (type) {
    case u8:
    case i8:
    case boolean: return 1;
    case u16:
    case i16: return 2;
    case u32:
    case i32:
    case f32: return 4;
    case u64:
    case i64:
    case f64: return 8;
    default: return 0;
  }
}

// Reads forward; after the first thing that is not there it gives zeros and `wrong` says what it was.
class Reader {
 public:
  Reader(std::span<const std::byte> head, std::uint64_t file_bytes) : head_(head), file_bytes_(file_bytes) {}
  void set(std::uint32_t version, bool big) { short_counts_ = version == 1, big_ = big; }

  [[nodiscard]] bool ok() const { return wrong_.empty() && !more_; }
  [[nodiscard]] bool more() const { return more_; }
  [[nodiscard]] const std::string& wrong() const { return wrong_; }
  [[nodiscard]] std::uint64_t at() const { return at_; }
  [[nodiscard]] std::uint64_t left() const { return file_bytes_ - at_; }
  void refuse(std::string why) {
    if (ok()) wrong_ = std::move(why);
  }

  [[nodiscard]] bool has(std::uint64_t bytes, const char* what) {
    if (!ok()) return false;
    if (bytes > left())
      refuse(std::string("the file ends within ") + what);
    else if (bytes > head_.size() - at_)
      more_ = true;
    return ok();
  }
  [[nodiscard]] std::uint64_t whole(std::size_t bytes, const char* what) {
    if (!has(bytes, what)) return 0;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      const std::size_t place = big_ ? i : bytes - 1 - i;
      value = value << 8 | std::to_integer<std::uint64_t>(head_[static_cast<std::size_t>(at_) + place]);
    }
    at_ += bytes;
    return value;
  }
  [[nodiscard]] std::uint32_t word(const char* what) { return static_cast<std::uint32_t>(whole(4, what)); }
  [[nodiscard]] std::uint64_t count(const char* what) { return whole(short_counts_ ? 4 : 8, what); }
  void skip(std::uint64_t bytes, const char* what) {
    if (has(bytes, what)) at_ += bytes;
  }
  [[nodiscard]] std::string take(std::uint64_t bytes, const char* what) {
    if (!has(bytes, what)) return {};
    std::string result(static_cast<std::size_t>(bytes), '\0');
    if (bytes > 0) std::memcpy(result.data(), head_.data() + at_, result.size());
    at_ += bytes;
    return result;
  }

 private:
  std::span<const std::byte> head_;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t at_ = 0;
  bool big_ = false, short_counts_ = false, more_ = false;
  std::string wrong_;
};

std::int64_t signed_of(std::uint64_t raw, std::size_t bytes) {
  const unsigned shift = static_cast<unsigned>(64 - 8 * bytes);
  return static_cast<std::int64_t>(raw << shift) >> shift;
}

GgufValue scalar(Reader& in, std::uint32_t type) {
  const std::size_t bytes = width_of(type);
  const std::uint64_t raw = in.whole(bytes, "a value");
  switch (type) {
    case i8:
    case i16:
    case i32:
    case i64: return signed_of(raw, bytes);
    case f32: return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(raw)));
    case f64: return std::bit_cast<double>(raw);
    case boolean: return raw != 0;
    default: return raw;
  }
}

double as_number(const GgufValue& value) {
  return std::visit(
      [](const auto& one) -> double {
        if constexpr (std::is_arithmetic_v<std::decay_t<decltype(one)>>) return static_cast<double>(one);
        return std::nan("");
      },
      value);
}

GgufValue list_value(Reader& in) {
  const std::uint32_t type = in.word("a list");
  const std::uint64_t count = in.count("a list");
  if (type == text) {
    if (in.ok() && count > in.left() / 4) in.refuse("a list of more texts than the file has room for");
    for (std::uint64_t i = 0; i < count && in.ok(); ++i) in.skip(in.count("a text"), "a text");
    return PassedOver{count};
  }
  const std::size_t width = width_of(type);
  if (in.ok() && width == 0) in.refuse("a list of values of the unknown type " + std::to_string(type));
  if (!in.ok()) return PassedOver{};
  if (count > in.left() / width) {
    in.refuse("a list of more numbers than the file has room for");
    return PassedOver{};
  }
  if (count > longest_kept_list) {
    in.skip(count * width, "a list");
    return PassedOver{count};
  }
  std::vector<double> numbers;
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) numbers.push_back(as_number(scalar(in, type)));
  return numbers;
}

GgufValue value(Reader& in) {
  const std::uint32_t type = in.word("a value");
  if (type == list) return list_value(in);
  if (type == text) {
    const std::uint64_t bytes = in.count("a text");
    if (bytes <= longest_kept_text) return in.take(bytes, "a text");
    in.skip(bytes, "a text");
    return PassedOver{bytes};
  }
  if (in.ok() && width_of(type) == 0) in.refuse("a value of the unknown type " + std::to_string(type));
  return in.ok() ? scalar(in, type) : GgufValue{PassedOver{}};
}

std::string name(Reader& in, const char* what) {
  const std::uint64_t bytes = in.count(what);
  if (in.ok() && bytes > longest_name) in.refuse(std::string(what) + " of " + std::to_string(bytes) + " bytes");
  return in.take(in.ok() ? bytes : 0, what);
}

GgufTensor tensor(Reader& in) {
  GgufTensor result;
  result.name = name(in, "a tensor's name");
  result.dimensions = in.word("a tensor's shape");
  if (in.ok() && result.dimensions > result.shape.size())
    in.refuse("a tensor of " + std::to_string(result.dimensions) + " dimensions");
  result.elements = 1;
  for (std::uint32_t i = 0; i < result.dimensions && in.ok(); ++i) {
    result.shape[i] = in.count("a tensor's shape");
    if (__builtin_mul_overflow(result.elements, result.shape[i], &result.elements))
      in.refuse("tensor '" + printable(result.name, 60) + "' has more elements than a number holds");
  }
  result.type = in.word("a tensor's type");
  result.offset = in.whole(8, "a tensor's place");
  if (const TensorType* type = tensor_type(result.type)) {
    result.type_name = type->name;
    std::uint64_t bytes = 0;
    if (!__builtin_mul_overflow(result.elements / type->block + (result.elements % type->block != 0 ? 1 : 0),
                                std::uint64_t{type->block_bytes}, &bytes))
      result.bytes = bytes;
  }
  return result;
}

// The version's number stands in the file's own byte order: read the wrong way round it is large.
Result<void> begin(Reader& in, GgufHeader& out) {
  if (in.take(4, "its first bytes") != "GGUF" && !in.more())
    return fail(ErrorCode::malformed, "not a GGUF file: it does not begin with GGUF");
  const std::uint32_t version = in.word("its version");
  out.big_endian = version != 0 && (version & 0xffffu) == 0;
  out.version = out.big_endian ? __builtin_bswap32(version) : version;
  if (in.ok() && (out.version < 1 || out.version > 3))
    return fail(ErrorCode::unavailable, "GGUF version " + std::to_string(out.version) + " is not known (1 to 3 are)");
  in.set(out.version, out.big_endian);
  return {};
}

}  // namespace

Result<GgufHeader> parse_gguf(std::span<const std::byte> head, std::uint64_t file_bytes, bool& more) {
  GgufHeader out;
  out.file_bytes = file_bytes;
  Reader in(head.first(static_cast<std::size_t>(std::min<std::uint64_t>(head.size(), file_bytes))), file_bytes);
  if (auto begun = begin(in, out); !begun) return Unexpected<Error>(begun.error());
  const std::uint64_t tensors = in.count("its counts"), values = in.count("its counts");
  constexpr std::uint64_t least_tensor = 4 + 4 + 4 + 8, least_value = 4 + 4 + 1;
  if (in.ok() && (tensors > in.left() / least_tensor || values > in.left() / least_value))
    in.refuse("it claims " + std::to_string(tensors) + " tensors and " + std::to_string(values) +
              " values, more than it has room for");
  if (in.ok() && (tensors > most_tensors || values > most_values))
    in.refuse("it claims " + std::to_string(tensors) + " tensors and " + std::to_string(values) +
              " values, more than any model has");
  for (std::uint64_t i = 0; i < values && in.ok(); ++i) {
    std::string key = name(in, "a key");
    GgufValue kept = value(in);
    if (in.ok()) out.values.insert_or_assign(std::move(key), std::move(kept));
  }
  for (std::uint64_t i = 0; i < tensors && in.ok(); ++i) {
    GgufTensor one = tensor(in);
    if (in.ok()) out.tensors.push_back(std::move(one));
  }
  more = in.more();
  if (in.more()) return fail(ErrorCode::full, "the head of the GGUF file is longer than what was read of it");
  if (!in.ok()) return fail(ErrorCode::malformed, "damaged GGUF file: " + in.wrong());
  out.head_bytes = in.at();
  return out;
}

Result<GgufHeader> parse_gguf(std::span<const std::byte> whole) {
  bool more = false;
  return parse_gguf(whole, whole.size(), more);
}

Result<GgufHeader> read_gguf(const std::string& path) {
  const auto file = OpenFile::open(path);
  if (!file) return Unexpected<Error>(file.error());
  std::vector<std::byte> head;
  for (std::uint64_t wanted = first_read;; wanted *= 4) {
    wanted = std::min({wanted, file->bytes(), largest_head_bytes});
    const std::size_t have = head.size();
    head.resize(static_cast<std::size_t>(wanted));
    if (auto read = file->read(have, std::span(head).subspan(have)); !read) return Unexpected<Error>(read.error());
    bool more = false;
    auto header = parse_gguf(head, file->bytes(), more);
    if (header || !more || wanted >= largest_head_bytes) {
      if (!header) header.error().where = path;
      return header;
    }
  }
}

std::optional<std::uint64_t> GgufHeader::number(std::string_view key) const {
  const auto found = values.find(key);
  if (found == values.end()) return std::nullopt;
  if (const auto* whole = std::get_if<std::uint64_t>(&found->second)) return *whole;
  if (const auto* whole = std::get_if<std::int64_t>(&found->second); whole != nullptr && *whole >= 0)
    return static_cast<std::uint64_t>(*whole);
  return std::nullopt;
}

std::optional<double> GgufHeader::real(std::string_view key) const {
  const auto found = values.find(key);
  if (found == values.end()) return std::nullopt;
  const double number = as_number(found->second);
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::optional<std::string> GgufHeader::text(std::string_view key) const {
  const auto found = values.find(key);
  if (found == values.end()) return std::nullopt;
  const auto* words = std::get_if<std::string>(&found->second);
  return words == nullptr ? std::nullopt : std::optional(*words);
}

std::optional<std::vector<double>> GgufHeader::numbers(std::string_view key) const {
  const auto found = values.find(key);
  if (found == values.end()) return std::nullopt;
  if (const auto* several = std::get_if<std::vector<double>>(&found->second)) return *several;
  const double number = as_number(found->second);
  return std::isfinite(number) ? std::optional(std::vector{number}) : std::nullopt;
}

}  // namespace prony::complexity
