// Where the published figures lie that the model's are held against; where they are missing, tests skip and say so.
#pragma once

#include <string>

namespace prony {

inline const std::string data_folder = std::string(PRONY_SOURCE_DIR) + "/../shared/data/cpu-power";

}  // namespace prony
