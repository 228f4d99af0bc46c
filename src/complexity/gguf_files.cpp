#include "complexity/gguf_files.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <iterator>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/text.hpp"

namespace prony::complexity {

namespace {

constexpr std::uint64_t most_head_bytes = 4 * largest_head_bytes;  // of all files together
constexpr std::uint64_t usual_alignment = 32, largest_alignment = 1u << 20;

// "dir/NAME-00002-of-00003.gguf" → "dir/NAME", 3.
struct SplitName {
  std::string stem;
  std::uint64_t count = 0;
  [[nodiscard]] std::string file(std::uint64_t number) const {
    char end[40];
    std::snprintf(end, sizeof end, "-%05u-of-%05u.gguf", static_cast<unsigned>(number), static_cast<unsigned>(count));
    return stem + end;
  }
};
std::optional<SplitName> split_name(std::string_view path) {
  constexpr std::string_view form = "-00000-of-00000.gguf";
  if (path.size() <= form.size()) return std::nullopt;
  const std::string_view end = path.substr(path.size() - form.size());
  for (std::size_t i = 0; i < form.size(); ++i)
    if (form[i] == '0' ? end[i] < '0' || end[i] > '9' : end[i] != form[i]) return std::nullopt;
  return SplitName{std::string(path.substr(0, path.size() - form.size())), parse_u64(end.substr(10, 5)).value_or(0)};
}

// What is laid over another tensor, or past the end, was not written by a converter.
Result<void> check_places(const GgufHeader& header, const std::string& path) {
  const std::uint64_t alignment = header.number("general.alignment").value_or(usual_alignment);
  if (!std::has_single_bit(alignment) || alignment > largest_alignment)
    return fail(ErrorCode::malformed, "damaged GGUF file: it aligns its tensors to " + std::to_string(alignment), path);
  const std::uint64_t data = (header.head_bytes + alignment - 1) / alignment * alignment;
  std::vector<std::pair<std::uint64_t, const GgufTensor*>> places;
  for (const GgufTensor& tensor : header.tensors) places.emplace_back(tensor.offset, &tensor);
  std::ranges::sort(places);
  std::uint64_t free_from = 0;
  for (const auto& [offset, tensor] : places) {
    const std::string name = "'" + printable(tensor->name, 60) + "'";
    const std::uint64_t room = header.file_bytes > data ? header.file_bytes - data : 0,
                        bytes = tensor->bytes.value_or(0);
    if (offset > room || bytes > room - offset)
      return fail(ErrorCode::malformed, "the file ends before tensor " + name + " does", path,
                  "Was it copied or downloaded to its end? It has " + std::to_string(header.file_bytes) + " bytes.");
    if (offset < free_from)
      return fail(ErrorCode::malformed, "damaged GGUF file: tensor " + name + " lies on another one", path);
    free_from = offset + bytes;
  }
  return {};
}

Result<void> check_split(const GgufHeader& header, const std::string& path, std::uint64_t number, std::uint64_t count) {
  const auto says_number = header.number("split.no"), says_count = header.number("split.count");
  if (says_number == number && says_count == count) return {};
  const auto told = [](const std::optional<std::uint64_t>& value) { return value ? std::to_string(*value) : "none"; };
  return fail(ErrorCode::malformed,
              "not file " + std::to_string(number + 1) + " of " + std::to_string(count) +
                  " of this model: it says split.no " + told(says_number) + ", split.count " + told(says_count),
              path);
}

Result<void> add(GgufFiles& to, GgufHeader&& header, const std::string& path) {
  if (auto places = check_places(header, path); !places) return places;
  if (header.tensors.size() > most_tensors - to.header.tensors.size() ||
      header.head_bytes > most_head_bytes - to.header.head_bytes)
    return fail(ErrorCode::full, "the files together have more tensors than any model has", path);
  to.paths.push_back(path);
  to.bytes += header.file_bytes;
  if (to.paths.size() == 1) {
    to.header = std::move(header);
    return {};
  }
  to.header.head_bytes += header.head_bytes;
  to.header.file_bytes += header.file_bytes;
  std::ranges::move(header.tensors, std::back_inserter(to.header.tensors));
  return {};
}

Result<GgufFiles> checked(GgufFiles&& files) {
  std::set<std::string_view> names;
  for (const GgufTensor& tensor : files.header.tensors)
    if (!names.insert(tensor.name).second)
      return fail(ErrorCode::malformed, "tensor '" + printable(tensor.name, 60) + "' is there twice",
                  files.paths.front());
  const auto told = files.header.number("split.tensors.count");
  if (files.paths.size() > 1 && told && *told != files.header.tensors.size())
    return fail(ErrorCode::malformed,
                "the files hold " + std::to_string(files.header.tensors.size()) + " tensors, the first says " +
                    std::to_string(*told),
                files.paths.front());
  return std::move(files);
}

Error missing(Error error, std::uint64_t number, std::uint64_t count) {
  if (error.code != ErrorCode::absent) return error;
  error.what = "file " + std::to_string(number + 1) + " of " + std::to_string(count) + " of the model is missing";
  error.fix = "All " + std::to_string(count) + " must lie in one folder, under the names that they were given.";
  return error;
}

}  // namespace

Result<GgufFiles> read_gguf_files(const std::vector<std::string>& paths) {
  if (paths.empty() || paths.size() > most_model_files)
    return fail(ErrorCode::full, "a model of " + std::to_string(paths.size()) + " files");
  GgufFiles files;
  for (std::uint64_t i = 0; i < paths.size(); ++i) {
    const std::string& path = paths[static_cast<std::size_t>(i)];
    auto header = read_gguf(path);
    if (!header) return Unexpected<Error>(missing(header.error(), i, paths.size()));
    if (paths.size() > 1)
      if (auto split = check_split(*header, path, i, paths.size()); !split) return Unexpected<Error>(split.error());
    if (auto added = add(files, std::move(*header), path); !added) return Unexpected<Error>(added.error());
  }
  return checked(std::move(files));
}

Result<GgufFiles> read_gguf_files(const std::string& path) {
  auto header = read_gguf(path);
  if (!header) return Unexpected<Error>(header.error());
  const std::uint64_t count = header->number("split.count").value_or(1);
  if (count <= 1) {
    GgufFiles files;
    if (auto added = add(files, std::move(*header), path); !added) return Unexpected<Error>(added.error());
    return checked(std::move(files));
  }
  const auto name = split_name(path);
  if (!name || name->count != count || count > most_model_files)
    return fail(ErrorCode::malformed,
                "it is one of " + std::to_string(count) + " files of a model, but is not called so", path,
                "Others are found by name: NAME-00001-of-0000N.gguf, N being how many there are.");
  std::vector<std::string> paths;
  for (std::uint64_t i = 1; i <= count; ++i) paths.push_back(name->file(i));
  return read_gguf_files(paths);
}

}  // namespace prony::complexity
