#include "workloads/conversations.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace prony {

Conversations::Conversations(std::span<const Prompt> prompts) {
  std::unordered_map<std::string_view, std::size_t> of_session;
  std::vector<std::pair<std::size_t, std::size_t>> places;  // conversation, prompt
  places.reserve(prompts.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    std::size_t conversation = count;
    if (!prompts[i].session.empty()) conversation = of_session.try_emplace(prompts[i].session, count).first->second;
    if (conversation == count) ++count;
    places.emplace_back(conversation, i);
  }
  std::ranges::sort(places);
  begins_.reserve(count + 1);
  turns_.reserve(places.size());
  for (const auto& [conversation, prompt] : places) {
    if (begins_.size() == conversation) begins_.push_back(turns_.size());
    turns_.push_back(prompt);
  }
  begins_.push_back(turns_.size());
}

}  // namespace prony
