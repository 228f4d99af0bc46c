#include "machine/library.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "machine/machine.hpp"
#include "machine/simulated.hpp"

namespace prony {
namespace {

using Names = std::array<std::string_view, 2>;
constexpr Names known{"libprony-nobody-has-this.so.1", "libm.so.6"};

TEST(Libraries, ALiveMachineOpensTheFirstThatIsThereAndItsFunctionsWork) {
  const auto library = make_live_machine()->open_library(known);
  ASSERT_TRUE(library) << library.error().what;
  EXPECT_EQ((*library)->name(), "libm.so.6");
  const LibraryFunction<double(double)> root((*library)->symbol("sqrt"));
  ASSERT_TRUE(root);
  EXPECT_EQ(root(81.0), 9.0);
  EXPECT_FALSE(LibraryFunction<double(double)>((*library)->symbol("prony_no_such_function")));
}

TEST(Libraries, OneThatIsNotThereIsAbsentWithEveryNameThatWasTried) {
  const std::array<std::string_view, 2> names{"libprony-a.so.1", "libprony-b.so"};
  const auto library = make_live_machine()->open_library(names);
  ASSERT_FALSE(library);
  EXPECT_EQ(library.error().code, ErrorCode::absent);
  EXPECT_EQ(library.error().where, "libprony-a.so.1, libprony-b.so");
}

TEST(Libraries, OneThatIsThereAndBrokenSaysSoAndNoOtherIsTakenForIt) {
  std::string path = std::filesystem::temp_directory_path() / "prony-library-XXXXXX";
  const int descriptor = ::mkstemp(path.data());
  ASSERT_GE(descriptor, 0);
  ASSERT_EQ(::write(descriptor, "not an ELF file", 15), 15);
  ::close(descriptor);
  const std::array<std::string_view, 2> names{path, "libm.so.6"};
  const auto library = make_live_machine()->open_library(names);
  std::filesystem::remove(path);
  ASSERT_FALSE(library);
  EXPECT_EQ(library.error().code, ErrorCode::unavailable);
  EXPECT_EQ(library.error().where, path);
}

TEST(Libraries, ACapturedMachineAndATreeOfAnotherMachineHaveNone) {
  const std::array<std::unique_ptr<Machine>, 2> machines{make_captured_machine("/nonexistent"),
                                                         make_live_machine({"/nonexistent", "/proc"})};
  for (const auto& machine : machines) {
    const auto library = machine->open_library(known);
    ASSERT_FALSE(library);
    EXPECT_EQ(library.error().code, ErrorCode::unavailable);
    EXPECT_NE(library.error().what.find("only a live one"), std::string::npos);
  }
}

TEST(Libraries, FunctionsOfASimulatedOneKnowTheirObjectSoThatTwoMachinesDiffer) {
  const auto table = [](int value) {
    LibraryTable made{std::make_shared<int>(value)};
    made.add("get", +[](void* object, int plus) { return *static_cast<int*>(object) + plus; });
    return made;
  };
  SimulatedMachine first, second;
  first.set_library("libm.so.6", table(10));
  second.set_library("libm.so.6", table(20));
  const auto a = first.open_library(known), b = second.open_library(known);
  ASSERT_TRUE(a && b);
  first.remove_library("libm.so.6");  // what was opened stays
  EXPECT_EQ((LibraryFunction<int(int)>((*a)->symbol("get"))(1)), 11);
  EXPECT_EQ((LibraryFunction<int(int)>((*b)->symbol("get"))(2)), 22);
  EXPECT_FALSE((LibraryFunction<int(int)>((*b)->symbol("put"))));
  const auto gone = first.open_library(known);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::absent);
}

}  // namespace
}  // namespace prony
