// What making one output token reads of the key-value cache. Plain values; bytes.
#pragma once

namespace prony {

// For each token before it, over all layers: those that see everything, and those that see the last `window_tokens`.
struct KvReads {
  double bytes_per_token = 0;
  double windowed_bytes_per_token = 0;
  double window_tokens = 0;  // of no meaning where windowed_bytes_per_token is 0
};

}  // namespace prony
