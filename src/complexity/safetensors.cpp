#include "complexity/safetensors.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/text.hpp"
#include "complexity/open_file.hpp"

namespace prony::complexity {

namespace {

constexpr std::size_t most_dimensions = 16, longest_tensor_name = 4096, longest_file_name = 255;

struct Dtype {
  std::string_view name;
  std::uint64_t bits;
};
constexpr std::array<Dtype, 21> dtypes{
    {{"F64", 64},    {"F32", 32},    {"F16", 16}, {"BF16", 16}, {"I64", 64},    {"I32", 32},    {"I16", 16},
     {"I8", 8},      {"U64", 64},    {"U32", 32}, {"U16", 16},  {"U8", 8},      {"BOOL", 8},    {"F8_E4M3", 8},
     {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"C64", 64}, {"F4", 4},    {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F8_E4M3FNUZ", 8}}};

// What all such heads have in common: objects in an object, each event a place in them. Anything else ends the reading.
class Events : public nlohmann::json_sax<nlohmann::json> {
 public:
  [[nodiscard]] const std::string& wrong() const { return wrong_; }
  bool null() override { return refuse("a value that has no place there"); }
  bool boolean(bool) override { return refuse("a value that has no place there"); }
  bool number_integer(number_integer_t) override { return refuse("a number below zero"); }
  bool number_unsigned(number_unsigned_t) override { return refuse("a number that has no place there"); }
  bool number_float(number_float_t, const string_t&) override { return refuse("a number that is not whole"); }
  bool string(string_t&) override { return refuse("a text that has no place there"); }
  bool binary(binary_t&) override { return refuse("a value that has no place there"); }
  bool start_array(std::size_t) override { return refuse("a list that has no place there"); }
  bool end_array() override { return true; }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::detail::exception&) override {
    return refuse("no JSON at byte " + std::to_string(at));
  }

 protected:
  bool refuse(std::string why) {
    if (wrong_.empty()) wrong_ = std::move(why);
    return false;
  }

 private:
  std::string wrong_;
};

class HeadEvents : public Events {
 public:
  explicit HeadEvents(std::uint64_t data_bytes) : data_bytes_(data_bytes) {}
  std::vector<GgufTensor> tensors;
  bool too_many = false;

  bool start_object(std::size_t) override {
    if (++depth_ > 2) return refuse("an object that has no place there");
    dtype_.clear(), shape_.clear(), place_.clear(), list_ = nullptr;
    has_shape_ = false;
    return true;
  }
  bool key(string_t& name) override {
    (depth_ == 1 ? name_ : field_) = name;
    if (name.size() > longest_tensor_name) return refuse("a name of " + std::to_string(name.size()) + " bytes");
    return true;
  }
  bool string(string_t& value) override {
    if (depth_ != 2 || list_ != nullptr) return refuse("a text that has no place there");
    if (!metadata() && field_ == "dtype") dtype_ = value;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (list_ == nullptr || list_->size() >= most_dimensions) return refuse("a number that has no place there");
    list_->push_back(value);
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 2 || metadata() || list_ != nullptr) return refuse("a list that has no place there");
    list_ = field_ == "shape" ? &shape_ : field_ == "data_offsets" ? &place_ : nullptr;
    if (list_ == nullptr || !list_->empty()) return refuse("a list that has no place there");
    has_shape_ = has_shape_ || list_ == &shape_;
    return true;
  }
  bool end_array() override {
    list_ = nullptr;
    return true;
  }
  bool end_object() override {
    if (depth_-- != 2 || metadata()) return true;
    if (tensors.size() >= most_tensors) {
      too_many = true;
      return refuse("more tensors than any model has");
    }
    return take();
  }

 private:
  [[nodiscard]] bool metadata() const { return name_ == "__metadata__"; }
  [[nodiscard]] std::string named() const { return "tensor '" + printable(name_, 60) + "'"; }
  bool take() {
    if (dtype_.empty() || !has_shape_ || place_.size() != 2) return refuse(named() + " is not fully described");
    if (place_[0] > place_[1] || place_[1] > data_bytes_)
      return refuse(named() + " ends past the end of the file (was it copied or downloaded to its end?)");
    GgufTensor tensor;
    tensor.name = name_;
    tensor.elements = 1;
    tensor.dimensions = static_cast<std::uint32_t>(shape_.size());
    for (std::size_t i = 0; i < shape_.size(); ++i) {
      const std::uint64_t size = shape_[shape_.size() - 1 - i];
      auto& into = tensor.shape[std::min(i, tensor.shape.size() - 1)];
      if (__builtin_mul_overflow(into, size, &into) || __builtin_mul_overflow(tensor.elements, size, &tensor.elements))
        return refuse(named() + " has more elements than a number holds");
    }
    tensor.offset = place_[0];
    tensor.bytes = place_[1] - place_[0];
    const auto known = std::ranges::find(dtypes, std::string_view(dtype_), &Dtype::name);
    if (known == dtypes.end()) return refuse(named() + " is of the unknown type '" + printable(dtype_, 20) + "'");
    tensor.type_name = known->name;
    std::uint64_t bits = 0;
    if (__builtin_mul_overflow(tensor.elements, known->bits, &bits) || bits % 8 != 0 || bits / 8 != *tensor.bytes)
      return refuse(named() + " has another length than its shape");
    tensors.push_back(std::move(tensor));
    return true;
  }

  std::uint64_t data_bytes_;
  int depth_ = 0;
  std::string name_, field_, dtype_;
  std::vector<std::uint64_t> shape_, place_;
  std::vector<std::uint64_t>* list_ = nullptr;
  bool has_shape_ = false;
};

class IndexEvents : public Events {
 public:
  WeightMap map;
  bool start_object(std::size_t) override {
    if (++depth_ > 2) return refuse("an object that has no place there");
    return true;
  }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool key(string_t& name) override {
    (depth_ == 1 ? section_ : name_) = name;
    return name.size() <= longest_tensor_name || refuse("a name of " + std::to_string(name.size()) + " bytes");
  }
  bool string(string_t& file) override {
    if (!in_map()) return true;
    if (file.empty() || file.size() > longest_file_name || file.front() == '.' || file.find('/') != std::string::npos ||
        file.find('\0') != std::string::npos)
      return refuse("a file outside of its folder: '" + printable(file, 60) + "'");
    if (map.size() >= most_tensors) return refuse("more tensors than any model has");
    map.insert_or_assign(name_, file);
    return true;
  }
  // The metadata beside it (total_size, …) may be anything flat.
  bool null() override { return beside(); }
  bool boolean(bool) override { return beside(); }
  bool number_integer(number_integer_t) override { return beside(); }
  bool number_unsigned(number_unsigned_t) override { return beside(); }
  bool number_float(number_float_t, const string_t&) override { return beside(); }
  bool start_array(std::size_t) override { return beside(); }

 private:
  [[nodiscard]] bool in_map() const { return depth_ == 2 && section_ == "weight_map"; }
  bool beside() { return !in_map() || refuse("a tensor whose file is no name"); }

  int depth_ = 0;
  std::string section_, name_;
};

Result<void> none_on_another(const std::vector<GgufTensor>& tensors) {
  std::vector<std::pair<std::uint64_t, const GgufTensor*>> places;
  std::set<std::string_view> names;
  for (const GgufTensor& tensor : tensors) {
    if (!names.insert(tensor.name).second)
      return fail(ErrorCode::malformed,
                  "damaged safetensors file: tensor '" + printable(tensor.name, 60) + "' is there twice");
    if (*tensor.bytes > 0) places.emplace_back(tensor.offset, &tensor);
  }
  std::ranges::sort(places);
  std::uint64_t free_from = 0;
  for (const auto& [offset, tensor] : places) {
    if (offset < free_from)
      return fail(ErrorCode::malformed,
                  "damaged safetensors file: tensor '" + printable(tensor->name, 60) + "' lies on another one");
    free_from = offset + *tensor->bytes;
  }
  return {};
}

Result<std::uint64_t> head_length(std::span<const std::byte> first, std::uint64_t file_bytes) {
  if (first.size() < 8 || file_bytes < 8) return fail(ErrorCode::malformed, "not a safetensors file: it has no head");
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0;) length = length << 8 | std::to_integer<std::uint64_t>(first[i]);
  if (length > largest_safetensors_head || length > file_bytes - 8)
    return fail(ErrorCode::malformed,
                "not a safetensors file, or damaged: its head would have " + std::to_string(length) + " bytes");
  return length;
}

}  // namespace

Result<std::vector<GgufTensor>> parse_safetensors_json(std::string_view json, std::uint64_t data_bytes) {
  if (!json.starts_with('{')) return fail(ErrorCode::malformed, "damaged safetensors file: its head is no JSON object");
  HeadEvents events(data_bytes);
  if (!nlohmann::json::sax_parse(json, &events))
    return fail(events.too_many ? ErrorCode::full : ErrorCode::malformed,
                "damaged safetensors file: " + events.wrong());
  if (auto places = none_on_another(events.tensors); !places) return Unexpected<Error>(places.error());
  return std::move(events.tensors);
}

Result<std::vector<GgufTensor>> parse_safetensors(std::span<const std::byte> head, std::uint64_t file_bytes) {
  const auto length = head_length(head, file_bytes);
  if (!length) return Unexpected<Error>(length.error());
  if (*length > head.size() - 8) return fail(ErrorCode::malformed, "damaged safetensors file: its head is cut off");
  const std::string_view json(reinterpret_cast<const char*>(head.data()) + 8, static_cast<std::size_t>(*length));
  return parse_safetensors_json(json, file_bytes - 8 - *length);
}

Result<SafetensorsFile> read_safetensors(const std::string& path) {
  const auto at = [&path](Error error) {
    if (error.where.empty()) error.where = path;
    return Unexpected<Error>(std::move(error));
  };
  const auto file = OpenFile::open(path);
  if (!file) return at(file.error());
  std::vector<std::byte> head(static_cast<std::size_t>(std::min<std::uint64_t>(8, file->bytes())));
  if (auto read = file->read(0, head); !read) return at(read.error());
  const auto length = head_length(head, file->bytes());
  if (!length) return at(length.error());
  head.resize(8 + static_cast<std::size_t>(*length));
  if (auto read = file->read(8, std::span(head).subspan(8)); !read) return at(read.error());
  auto tensors = parse_safetensors(head, file->bytes());
  if (!tensors) return at(tensors.error());
  return SafetensorsFile{std::move(*tensors), file->bytes()};
}

Result<WeightMap> parse_safetensors_index(std::string_view json) {
  IndexEvents events;
  if (!nlohmann::json::sax_parse(json, &events))
    return fail(ErrorCode::malformed, "damaged index of safetensors: " + events.wrong());
  if (events.map.empty()) return fail(ErrorCode::malformed, "the index of safetensors names no file");
  return std::move(events.map);
}

}  // namespace prony::complexity
