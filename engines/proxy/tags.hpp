// What a descriptor in the proxy's epoll set is; links have numbers from 8 on, two tags each. Plain data.
#pragma once

#include <cstdint>

namespace prony_proxy {

enum Tag : std::uint64_t { listener_tag, input_tag, output_tag, clouds_tag, opener_tag, handover_tag, signals_tag };

}  // namespace prony_proxy
