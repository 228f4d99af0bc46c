// Library: a vendor's library (NVML, HailoRT) as a Machine has it. Nobody links one: it is opened while Prony runs, or
// it is not there, with a reason. A live machine's is opened by the loader; a simulated one is a table of functions
// that get the object they belong to, so that several machines can live in one program.
// Thread promise: a Library and its functions may be used from any thread if the vendor's allow it. Ownership: a
// function may be called while its Library lives. Errors of open_library(): absent (none of the names is there),
// unavailable (it is there and cannot be loaded; a machine without libraries), each with the names in `where`.
// Source: dlopen(3).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace prony {

// A function of a library whose type nobody has said yet.
struct LibrarySymbol {
  void (*function)() = nullptr;  // null: the library has none of that name
  void* object = nullptr;        // a simulated library's: goes before the arguments. Null: a function as C exports it
};

// The same with its type, which is the caller's word: LibraryFunction<int(unsigned*)>(library.symbol("count")).
template <class Signature>
class LibraryFunction;
template <class R, class... Arguments>
class LibraryFunction<R(Arguments...)> {
 public:
  LibraryFunction() = default;
  explicit LibraryFunction(LibrarySymbol symbol) noexcept : symbol_(symbol) {}
  [[nodiscard]] explicit operator bool() const noexcept { return symbol_.function != nullptr; }
  // Only if there is one.
  R operator()(Arguments... arguments) const {
    if (symbol_.object != nullptr)
      return reinterpret_cast<R (*)(void*, Arguments...)>(symbol_.function)(symbol_.object, arguments...);
    return reinterpret_cast<R (*)(Arguments...)>(symbol_.function)(arguments...);
  }

 private:
  LibrarySymbol symbol_;
};

class Library {
 public:
  virtual ~Library() = default;
  // As it was found: "libnvidia-ml.so.1".
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  [[nodiscard]] virtual LibrarySymbol symbol(const std::string& name) const = 0;
};

// What a simulated library consists of: functions that take `object` first, then what the vendor's function takes.
struct LibraryTable {
  std::shared_ptr<void> object;
  std::map<std::string, void (*)(), std::less<>> functions = {};

  template <class R, class... Arguments>
  void add(std::string name, R (*function)(void*, Arguments...)) {
    functions.insert_or_assign(std::move(name), reinterpret_cast<void (*)()>(function));
  }
};
[[nodiscard]] std::unique_ptr<Library> make_table_library(std::string name, LibraryTable table);

}  // namespace prony
