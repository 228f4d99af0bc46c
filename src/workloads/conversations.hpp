// Prompts by the conversations that they are turns of, in the order of their first turns; a prompt of none is one by
// itself. Pure; plain value.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "workloads/prompts.hpp"

namespace prony {

class Conversations {
 public:
  explicit Conversations(std::span<const Prompt> prompts);
  [[nodiscard]] std::size_t size() const noexcept { return begins_.size() - 1; }
  // Indices of its prompts, the first turn first.
  [[nodiscard]] std::span<const std::size_t> turns(std::size_t conversation) const {
    return std::span(turns_).subspan(begins_[conversation], begins_[conversation + 1] - begins_[conversation]);
  }
  // Whether any has more than one.
  [[nodiscard]] bool any() const noexcept { return size() < turns_.size(); }

 private:
  std::vector<std::size_t> turns_, begins_;
};

}  // namespace prony
