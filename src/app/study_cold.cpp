#include "app/study_cold.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "app/model_source.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"

namespace prony::app {

namespace {

constexpr std::size_t most_files = 10'000;
constexpr double worth_saying = 0.01;

// Bytes of a file, and how many of them are still in memory after it was dropped.
struct Held {
  double bytes = 0, held = 0;
};

Result<Held> drop_from_memory(const std::string& path) {
  const auto fd = Fd::open(path, O_RDONLY);
  if (!fd) return Unexpected<Error>(fd.error());
  struct stat status{};
  if (::fstat(fd->get(), &status) != 0 || status.st_size <= 0) return Held{};
  (void)::fdatasync(fd->get());  // what was just written cannot be dropped
  if (const int code = ::posix_fadvise(fd->get(), 0, 0, POSIX_FADV_DONTNEED); code != 0)
    return Unexpected<Error>(error_from_errno(code, path, "cannot drop it from memory"));
  const auto bytes = static_cast<std::size_t>(status.st_size);
  const auto map = Mapping::map(*fd, bytes, false);
  if (!map) return Unexpected<Error>(map.error());
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> resident((bytes + page - 1) / page);
  if (::mincore(map->bytes().data(), bytes, resident.data()) != 0)
    return Unexpected<Error>(error_from_errno(errno, path, "cannot tell what of it is in memory"));
  const auto held =
      static_cast<double>(std::ranges::count_if(resident, [](unsigned char one) { return (one & 1U) != 0; }));
  return Held{static_cast<double>(bytes), static_cast<double>(bytes) * held / static_cast<double>(resident.size())};
}

// All files of a folder, links followed: what loads a model from there may read any of them.
std::vector<std::string> files_below(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code failed;
  auto at = std::filesystem::recursive_directory_iterator(folder, failed);
  for (; !failed && at != std::filesystem::recursive_directory_iterator() && files.size() < most_files;
       at.increment(failed))
    if (at->is_regular_file(failed)) files.push_back(at->path().string());
  return files;
}

bool is_here(const std::string& url) {
  return url.empty() || url.find("127.0.0.1") != url.npos || url.find("localhost") != url.npos ||
         url.find("[::1]") != url.npos;
}

// A model of several files is named by one of them.
std::vector<std::string> files_of(const std::string& model) {
  std::error_code ignored;
  if (std::filesystem::is_directory(model, ignored)) return files_below(model);
  if (auto named = read_named_model(model); named && !named->model.paths.empty()) return std::move(named->model.paths);
  return {model};
}

}  // namespace

Result<ColdModel> make_cold(const study::Variant& variant) {
  const std::string model = study::filled(variant, variant.word("model")), engine = variant.word("engine");
  ColdModel cold;
  if (model.empty()) {
    cold.doubt = "cold start: no model is named, so none could be dropped from memory";
    return cold;
  }
  std::vector<std::string> files;
  if (engine == "ollama") {
    if (is_here(study::filled(variant, variant.word("url"))))
      if (auto found = read_named_model(ollama_prefix + model)) files = std::move(found->model.paths);
    if (files.empty())
      cold.doubt = "cold start: the server's file is not to be found here, it may have been in the memory of files";
  } else {
    files = files_of(model);
  }
  Held all;
  for (const std::string& file : files) {
    const auto one = drop_from_memory(file);
    if (!one) return Unexpected<Error>(one.error());
    all.bytes += one->bytes;
    all.held += one->held;
  }
  if (all.bytes <= 0) return cold;
  cold.held_share = all.held / all.bytes;
  if (*cold.held_share > worth_saying)
    cold.doubt = "cold start: " + format_fixed(*cold.held_share * 100, 0) + " % of the model stayed in memory";
  return cold;
}

}  // namespace prony::app
