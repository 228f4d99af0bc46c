// Small ONNX files for the tests, written by themselves from protobuf's description: no line is shared with the writer
// of the product, so that a mistake in one is seen by the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace prony::complexity::onnx_test {

inline std::string varint(std::uint64_t value) {
  std::string out;
  while (value > 127) {
    out += static_cast<char>(value % 128 + 128);
    value /= 128;
  }
  return out + static_cast<char>(value);
}
inline std::string field(unsigned number, const std::string& bytes) {
  return varint(number * 8 + 2) + varint(bytes.size()) + bytes;
}
inline std::string field(unsigned number, std::int64_t value) {
  return varint(number * 8) + varint(static_cast<std::uint64_t>(value));
}

inline std::string whole(const std::string& name, std::int64_t value) {
  return field(5, field(1, name) + field(3, value) + field(20, 2));
}
inline std::string wholes(const std::string& name, const std::vector<std::int64_t>& values) {
  std::string out = field(1, name);
  for (const std::int64_t one : values) out += field(8, one);  // not packed: older writers do so
  return field(5, out + field(20, 7));
}
inline std::string word(const std::string& name, const std::string& value) {
  return field(5, field(1, name) + field(4, value) + field(20, 3));
}
inline std::string graph_attribute(const std::string& name, const std::string& graph) {
  return field(5, field(1, name) + field(6, graph) + field(20, 5));
}

inline std::string node(const std::string& op, const std::vector<std::string>& in, const std::vector<std::string>& out,
                        const std::string& attributes = {}, const std::string& domain = {}) {
  std::string bytes;
  for (const std::string& one : in) bytes += field(1, one);
  for (const std::string& one : out) bytes += field(2, one);
  bytes += field(4, op) + attributes;
  return field(1, domain.empty() ? bytes : bytes + field(7, domain));
}

inline std::string tensor_bytes(const std::string& name, std::int64_t type, const std::vector<std::int64_t>& shape,
                                const std::string& numbers) {
  std::string bytes;
  for (const std::int64_t one : shape) bytes += field(1, one);
  return bytes + field(2, type) + field(8, name) + numbers;
}
inline std::string weights(const std::string& name, const std::vector<std::int64_t>& shape) {
  std::size_t count = 1;
  for (const std::int64_t one : shape) count *= static_cast<std::size_t>(one);
  return field(5, tensor_bytes(name, 1, shape, field(9, std::string(count * 4, '\x01'))));
}
inline std::string integers(const std::string& name, const std::vector<std::int64_t>& values, bool raw = true) {
  std::string bytes, packed;
  for (const std::int64_t one : values) {
    char eight[8];
    std::memcpy(eight, &one, 8);
    bytes.append(eight, 8);
    packed += varint(static_cast<std::uint64_t>(one));
  }
  return field(
      5, tensor_bytes(name, 7, {static_cast<std::int64_t>(values.size())}, raw ? field(9, bytes) : field(7, packed)));
}

// −1: a dimension without a size; its name is "batch" if it is the first.
inline std::string port(unsigned number, const std::string& name, const std::vector<std::int64_t>& shape,
                        std::int64_t type = 1) {
  std::string dimensions;
  for (std::size_t i = 0; i < shape.size(); ++i)
    dimensions += field(1, shape[i] >= 0 ? field(1, shape[i])
                           : i == 0      ? field(2, std::string("batch"))
                                         : std::string());
  return field(number, field(1, name) + field(2, field(1, field(1, type) + field(2, dimensions))));
}
inline std::string input(const std::string& name, const std::vector<std::int64_t>& shape, std::int64_t type = 1) {
  return port(11, name, shape, type);
}
inline std::string output(const std::string& name, const std::vector<std::int64_t>& shape = {}) {
  return port(12, name, shape);
}
inline std::string model(const std::string& graph, std::int64_t opset = 17) {
  return field(1, std::int64_t{8}) + field(8, field(2, opset)) + field(7, graph);
}
inline std::span<const std::byte> as_file(const std::string& bytes) { return std::as_bytes(std::span(bytes)); }

}  // namespace prony::complexity::onnx_test
