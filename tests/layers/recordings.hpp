// What the tests of recordings share: the published files beside the sources, and texts as sources.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "layers/byte_source.hpp"

namespace prony::layers {

inline const std::string recordings_folder = PRONY_SOURCE_DIR "/../shared/data/edgeprofiler";

inline std::string text_of_recording(const std::string& name) {
  std::ifstream file(recordings_folder + "/" + name, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class PublishedRecordings : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(recordings_folder))
      GTEST_SKIP() << "no published recordings beside the sources (shared/data/edgeprofiler)";
  }
};

}  // namespace prony::layers
