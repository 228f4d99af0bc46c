// The C ABI of libprony, held against tests/client/abi.txt: what programs were once built against must stay.
#include <gtest/gtest.h>
#include <prony/prony.h>

#include <cstddef>

#include "../support/abi.hpp"
#include "../support/emulated.hpp"

namespace prony::test {
namespace {

const std::string library = std::string(PRONY_BUILD_DIR) + "/libprony.so.1";

std::vector<std::string> shape_of_the_header() {
  std::vector<std::string> lines;
  const auto member = [&](const char* name, std::size_t offset) { lines.push_back(abi_line("offset", name, offset)); };
  lines.push_back(abi_line("sizeof", "prony_clock", sizeof(prony_clock)));
  member("prony_clock.name", offsetof(prony_clock, name));
  member("prony_clock.offset_ns", offsetof(prony_clock, offset_ns));
  member("prony_clock.doubt_ns", offsetof(prony_clock, doubt_ns));
  const auto number = [&](const char* name, int value) { lines.push_back(abi_line("enum", name, value)); };
  number("PRONY_RUN", PRONY_RUN), number("PRONY_PHASE", PRONY_PHASE), number("PRONY_REQUEST", PRONY_REQUEST);
  number("PRONY_TOKENISE", PRONY_TOKENISE), number("PRONY_PREFILL", PRONY_PREFILL);
  number("PRONY_DECODE", PRONY_DECODE), number("PRONY_TOKEN", PRONY_TOKEN), number("PRONY_BATCH", PRONY_BATCH);
  number("PRONY_LAYER", PRONY_LAYER), number("PRONY_PROCESS", PRONY_PROCESS), number("PRONY_USER", PRONY_USER);
  number("PRONY_OK", PRONY_OK), number("PRONY_FAILED", PRONY_FAILED);
  number("PRONY_ABI_VERSION", PRONY_ABI_VERSION);
  return lines;
}

// Kills: a function that was renamed, lost its version, or a helper of ours that everybody can see.
TEST(AbiOfLibprony, ExportsWhatIsListedAndNothingElse) {
  if (emulated()) GTEST_SKIP() << "the nm here is of another kind of machine";
  if (printed_by("nm --version").find("nm") == std::string::npos) GTEST_SKIP() << "no nm here";
  std::vector<std::string> listed = listed_in(PRONY_SOURCE_DIR "/tests/client/abi.txt");
  std::erase_if(listed, [](const std::string& line) { return !line.starts_with("export "); });
  ASSERT_FALSE(listed.empty());
  EXPECT_EQ(exports_of(library), listed);
}

// Kills: a member put in the middle of a struct, an enumerator put before others.
TEST(AbiOfLibprony, StructsAndEnumeratorsAreAsListed) {
  if (sizeof(void*) != 8) GTEST_SKIP() << "the list is of machines with 64-bit pointers";
  std::vector<std::string> listed = listed_in(PRONY_SOURCE_DIR "/tests/client/abi.txt");
  std::erase_if(listed, [](const std::string& line) { return line.starts_with("export "); });
  EXPECT_EQ(shape_of_the_header(), listed);
}

TEST(AbiOfLibprony, IsFoundByTheNameOfItsFirstVersion) {
  if (emulated()) GTEST_SKIP() << "the readelf here is of another kind of machine";
  if (printed_by("readelf --version").find("readelf") == std::string::npos) GTEST_SKIP() << "no readelf here";
  EXPECT_NE(printed_by("readelf -d " + library).find("[libprony.so.1]"), std::string::npos);
}

}  // namespace
}  // namespace prony::test
