// One of many equal parts of an estimate: joules of a token. Thread promise: pure.
#pragma once

#include "model/charge.hpp"

namespace prony {

[[nodiscard]] inline Estimate each(const Estimate& all, double count) {
  return {all.value / count, all.low / count, all.high / count, all.kind};
}

}  // namespace prony
