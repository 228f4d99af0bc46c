// A network loaded by ONNX Runtime through its C interface, and run on made-up inputs. Owns everything it makes. Thread
// promise: one thread. Failures carry a code of docs/worker-protocol.md and ONNX Runtime's own words.
#pragma once

#include <onnxruntime_c_api.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace prony_engine {

struct Failure {
  std::string code, message;
};

struct SessionSettings {
  std::string model;
  int threads = 1;
  bool as_it_is = false;        // the graph is run as the file has it: nothing fused, folded or taken away
  bool profile = false;         // every node's time is taken: slower
  std::string profile_prefix;   // of the file that ONNX Runtime writes
  std::string optimised_model;  // where the graph as it is run is written; empty: nowhere
};

struct Port {
  std::string name;
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  std::vector<std::int64_t> shape;  // −1: dynamic
};

// Values that a network made, by their names: what layers that are run alone are fed with. Owns them.
class KeptValues {
 public:
  KeptValues() = default;
  ~KeptValues() { clear(); }
  KeptValues(const KeptValues&) = delete;
  KeptValues& operator=(const KeptValues&) = delete;

  void clear();
  void keep(const std::string& name, OrtValue* value);
  [[nodiscard]] OrtValue* find(const std::string& name) const;  // null: there is none
  // Names, types and shapes; those that are no tensors are left out.
  [[nodiscard]] std::optional<Failure> describe(std::vector<Port>& out) const;

 private:
  std::map<std::string, OrtValue*> values_;
};

class OnnxSession {
 public:
  OnnxSession() = default;
  ~OnnxSession() { close(); }
  OnnxSession(const OnnxSession&) = delete;
  OnnxSession& operator=(const OnnxSession&) = delete;

  [[nodiscard]] static std::string version();
  [[nodiscard]] std::optional<Failure> open(const SessionSettings& settings);
  [[nodiscard]] const std::vector<Port>& inputs() const noexcept { return inputs_; }
  // Floating inputs get numbers from 0 to 1, the same at each call; whole ones get 1, which is a row of any table that
  // has two. `shapes`: of inputs whose dimensions are open; a dimension that is still open is a failure.
  // Inputs that are among `kept` are those, which must live on; null: none are.
  [[nodiscard]] std::optional<Failure> make_inputs(const std::map<std::string, std::vector<std::int64_t>>& shapes,
                                                   const KeptValues* kept = nullptr);
  [[nodiscard]] std::optional<Failure> run();
  [[nodiscard]] std::optional<Failure> run_and_keep(KeptValues& kept);  // its inputs and outputs
  // Ends profiling; the file's name.
  [[nodiscard]] std::optional<Failure> end_profiling(std::string& file);
  void close();

 private:
  [[nodiscard]] std::optional<Failure> read_ports();
  void drop_inputs();
  [[nodiscard]] std::optional<Failure> run_into(std::vector<OrtValue*>& made);
  [[nodiscard]] std::optional<Failure> fill(const Port& port, const std::vector<std::int64_t>& shape);

  OrtSession* session_ = nullptr;
  OrtSessionOptions* options_ = nullptr;
  std::vector<Port> inputs_;
  std::vector<std::string> outputs_;
  std::vector<OrtValue*> values_;  // in the order of inputs_
  std::vector<OrtValue*> own_;     // of them, those that were made here
};

}  // namespace prony_engine
