// Boosted trees: each of depth three fits what those before it left, by the split that lowers the squares most.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/stable_sort.hpp"
#include "predict/regressors.hpp"

namespace prony::predict {

namespace {

constexpr int deepest_tree = 3, most_trees = 150;
constexpr double learning_rate = 0.1;

struct Split {
  double gain = 0, threshold = 0;
  std::int32_t feature = -1;
};

class TreeMaker {
 public:
  TreeMaker(const std::vector<std::vector<double>>& features, std::size_t least) : features_(features), least_(least) {
    std::vector<std::uint32_t> rows(features.size());
    std::iota(rows.begin(), rows.end(), 0U);
    // Rows of one value stand in the order of their number: the same on every machine.
    for (std::size_t f = 0; f < features.front().size(); ++f) {
      sort_stably(rows, [&](std::uint32_t l, std::uint32_t r) { return features[l][f] < features[r][f]; });
      sorted_.push_back(rows);
      std::iota(rows.begin(), rows.end(), 0U);
    }
  }

  // Of `rows`, whose `left_over` it fits; takes what it explains off them.
  std::vector<TreeNode> make(std::vector<double>& left_over) {
    nodes_.clear();
    marks_ = 0;
    node_of_.assign(left_over.size(), 0);
    std::vector<std::uint32_t> rows(left_over.size());
    std::iota(rows.begin(), rows.end(), 0U);
    grow(rows, left_over, 0);
    return nodes_;
  }

 private:
  std::int32_t grow(const std::vector<std::uint32_t>& rows, std::vector<double>& left_over, int depth) {
    const auto at = static_cast<std::int32_t>(nodes_.size());
    nodes_.emplace_back();
    const Split split = depth < deepest_tree ? best_split(rows, left_over) : Split{};
    if (split.feature < 0) {
      double sum = 0;
      for (const std::uint32_t r : rows) sum += left_over[r];
      const double value = learning_rate * sum / static_cast<double>(rows.size());
      for (const std::uint32_t r : rows) left_over[r] -= value;
      nodes_[static_cast<std::size_t>(at)].value = value;
      return at;
    }
    std::vector<std::uint32_t> left, right;
    for (const std::uint32_t r : rows)
      (features_[r][static_cast<std::size_t>(split.feature)] <= split.threshold ? left : right).push_back(r);
    const std::int32_t l = grow(left, left_over, depth + 1), r = grow(right, left_over, depth + 1);
    TreeNode& node = nodes_[static_cast<std::size_t>(at)];
    node.feature = split.feature, node.threshold = split.threshold, node.left = l, node.right = r;
    return at;
  }

  Split best_split(const std::vector<std::uint32_t>& rows, const std::vector<double>& left_over) {
    Split best;
    if (rows.size() < 2 * least_) return best;
    double total = 0;
    for (const std::uint32_t r : rows) total += left_over[r];
    const auto n = static_cast<double>(rows.size());
    const std::uint32_t mark = ++marks_;
    for (const std::uint32_t r : rows) node_of_[r] = mark;
    std::vector<std::uint32_t> sorted(rows.size());
    for (std::size_t f = 0; f < sorted_.size(); ++f) {
      std::copy_if(sorted_[f].begin(), sorted_[f].end(), sorted.begin(),
                   [&](std::uint32_t r) { return node_of_[r] == mark; });
      double sum = 0;
      for (std::size_t i = 0; i + 1 < sorted.size(); ++i) {
        sum += left_over[sorted[i]];
        const double here = features_[sorted[i]][f], next = features_[sorted[i + 1]][f];
        if (i + 1 < least_ || sorted.size() - i - 1 < least_ || !(here < next)) continue;
        const auto left = static_cast<double>(i + 1);
        const double gain = sum * sum / left + (total - sum) * (total - sum) / (n - left) - total * total / n;
        if (gain > best.gain * (1 + 1e-9) + 1e-12)
          best = {gain, here + (next - here) / 2, static_cast<std::int32_t>(f)};
      }
    }
    return best;
  }

  const std::vector<std::vector<double>>& features_;
  std::size_t least_;
  std::vector<std::vector<std::uint32_t>> sorted_;  // rows by each feature
  std::vector<std::uint32_t> node_of_;              // the node that a row was last looked at in
  std::uint32_t marks_ = 0;
  std::vector<TreeNode> nodes_;
};

}  // namespace

TreesModel fit_trees(const Examples& examples) {
  TreesModel model;
  model.base = fit_roofline(examples);
  std::vector<std::vector<double>> features;
  std::vector<double> left_over;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    features.push_back(features_of(*examples.layers[i]));
    left_over.push_back(std::log(examples.values[i] / predict(model.base, *examples.layers[i])));
  }
  if (left_over.empty()) return model;
  model.start = std::accumulate(left_over.begin(), left_over.end(), 0.0) / static_cast<double>(left_over.size());
  for (double& r : left_over) r -= model.start;
  TreeMaker maker(features, std::max<std::size_t>(3, examples.size() / 100));
  for (int t = 0; t < most_trees; ++t) {
    model.trees.push_back(maker.make(left_over));
    if (model.trees.back().size() == 1) break;
  }
  return model;
}

}  // namespace prony::predict
