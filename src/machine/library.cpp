// Libraries: what a Machine without them says, those of the loader, and tables of functions.
#include "machine/library.hpp"

#include <dlfcn.h>

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
