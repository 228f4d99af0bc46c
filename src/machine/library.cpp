// Libraries: what a Machine without them says, those of the loader, and tables of functions.
#include "machine/library.hpp"

#include <dlfcn.h>
#include <stdlib.h>

#include <array>
#include <vector>

#include "machine/live_library.hpp"
#include "machine/machine.hpp"

namespace prony {

namespace {

class LoadedLibrary final : public Library {
 public:
  LoadedLibrary(std::string name, void* handle) : name_(std::move(name)), handle_(handle) {}
  LoadedLibrary(const LoadedLibrary&) = delete;
  LoadedLibrary& operator=(const LoadedLibrary&) = delete;
  ~LoadedLibrary() override { ::dlclose(handle_); }
  [[nodiscard]] std::string_view name() const noexcept override { return name_; }
  [[nodiscard]] LibrarySymbol symbol(const std::string& name) const override {
    return {reinterpret_cast<void (*)()>(::dlsym(handle_, name.c_str()))};
  }

 private:
  std::string name_;
  void* handle_;
};

class TableLibrary final : public Library {
 public:
  TableLibrary(std::string name, LibraryTable table) : name_(std::move(name)), table_(std::move(table)) {
    if (!table_.object) table_.object = std::make_shared<char>();  // its functions take an object all the same
  }
  [[nodiscard]] std::string_view name() const noexcept override { return name_; }
  [[nodiscard]] LibrarySymbol symbol(const std::string& name) const override {
    const auto found = table_.functions.find(name);
    return found == table_.functions.end() ? LibrarySymbol{} : LibrarySymbol{found->second, table_.object.get()};
  }

 private:
  std::string name_;
  LibraryTable table_;
};

// What keeps a library from writing files and lines of its own while Prony has it: read by its loader-time code alone.
struct QuietSetting {
  std::string_view library, name, value;
};
constexpr std::array<QuietSetting, 2> quiet_settings{{
    // HailoRT makes hailort.log in the working directory and below ~/.hailo, and warns on stderr at measurements.
    // Source: hailort_logger.cpp and env_vars.hpp (4.20.0 to 5.2.0) of github.com/hailo-ai/hailort.
    {"libhailort.so", "HAILORT_LOGGER_PATH", "NONE"},
    {"libhailort.so", "HAILORT_CONSOLE_LOGGER_LEVEL", "critical"},
}};

// Sets what the user has not set, until it goes: programs that Prony starts never see it. Libraries are opened while
// sensors are made, before Prony's own threads begin.
class QuietOpening {
 public:
  explicit QuietOpening(std::string_view library) {
    for (const QuietSetting& one : quiet_settings) {
      if (!library.starts_with(one.library)) continue;
      std::string name(one.name);
      if (::getenv(name.c_str()) != nullptr) continue;
      if (::setenv(name.c_str(), std::string(one.value).c_str(), 0) == 0) set_.push_back(std::move(name));
    }
  }
  QuietOpening(const QuietOpening&) = delete;
  QuietOpening& operator=(const QuietOpening&) = delete;
  ~QuietOpening() {
    for (const std::string& name : set_) ::unsetenv(name.c_str());
  }

 private:
  std::vector<std::string> set_;
};

}  // namespace

std::string joined_names(std::span<const std::string_view> names) {
  std::string all;
  for (const auto name : names) all += (all.empty() ? "" : ", ") + std::string(name);
  return all;
}

Result<std::unique_ptr<Library>> Machine::open_library(std::span<const std::string_view> names) {
  return fail(ErrorCode::unavailable, "this machine has no vendor libraries: only a live one can open them",
              joined_names(names));
}

Result<std::unique_ptr<Library>> open_live_library(std::span<const std::string_view> names) {
  for (const auto view : names) {
    const std::string name(view);
    const QuietOpening quiet(name);
    if (void* handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL))
      return std::make_unique<LoadedLibrary>(name, handle);
    const char* said = ::dlerror();
    const std::string why = said != nullptr ? said : "the loader does not say why";
    // The loader names the file that is missing: this one, or one that it needs.
    const bool missing = why.find("No such file") != std::string::npos && why.find(name) != std::string::npos;
    if (!missing) return fail(ErrorCode::unavailable, "is there and cannot be loaded: " + why, name);
  }
  return fail(ErrorCode::absent, "not found by the loader", joined_names(names));
}

std::unique_ptr<Library> make_table_library(std::string name, LibraryTable table) {
  return std::make_unique<TableLibrary>(std::move(name), std::move(table));
}

}  // namespace prony
