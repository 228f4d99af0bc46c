// What the drivers of workers that run networks share: what replies hold, in words and numbers, how such a worker is
// greeted and how it is ended. Thread promise: one thread. Errors: a worker that cannot be driven.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "workloads/worker_link.hpp"
#include "workloads/workload.hpp"

namespace prony {

[[nodiscard]] std::string reply_words(const nlohmann::json& from, const char* key);  // "": there are none
// What went wrong, from a reply that is not the one that was asked for.
[[nodiscard]] std::string reply_trouble(const Reply& reply, std::int64_t timeout_ns);
// A list of whole numbers that are not below zero; absent: it is something else.
[[nodiscard]] std::optional<std::vector<std::int64_t>> reply_numbers(const nlohmann::json& from, const char* key);

// Reads hello; a worker without one of the capabilities is an error. Which engine it is becomes facts.
[[nodiscard]] Result<void> greet_network_worker(WorkerLink& link, const std::vector<std::string>& arguments,
                                                std::int64_t timeout_ns, const std::vector<std::string>& needed,
                                                WorkloadOutcome& outcome);
// Gently where all went well; what computes for minutes is not waited for.
void end_network_worker(WorkerLink& link, Child& child, WorkloadOutcome& outcome, bool well);

}  // namespace prony
