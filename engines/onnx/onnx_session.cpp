#include "onnx_session.hpp"

#include <algorithm>

namespace prony_engine {

namespace {

const OrtApi* api() {
  static const OrtApi* const found = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  return found;
}

// Kept to the end of the process: ONNX Runtime's logger is in it.
OrtEnv* environment() {
  static OrtEnv* const made = [] {
    OrtEnv* env = nullptr;
    // What goes wrong comes back as a status, and is told once.
    if (OrtStatus* status = api()->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "prony", &env)) api()->ReleaseStatus(status);
    return env;
  }();
  return made;
}

std::optional<Failure> failed(OrtStatus* status, const char* code) {
  if (status == nullptr) return std::nullopt;
  std::string message = api()->GetErrorMessage(status);
  api()->ReleaseStatus(status);
  // A message of its allocator ends in a byte of no text.
  while (!message.empty() && (message.back() < ' ' || message.back() > '~')) message.pop_back();
  // What it ran out of while it ran has the same code as all else that went wrong then.
  const bool memory =
      message.find("Failed to allocate memory") != std::string::npos || message.find("bad_alloc") != std::string::npos;
  return Failure{memory ? "memory" : code, std::move(message)};
}

std::size_t width_of(ONNXTensorElementDataType type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8: return 1;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16: return 2;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32: return 4;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64: return 8;
    default: return 0;
  }
}

template <class T>
void fill_whole(void* data, std::size_t count) {
  std::fill_n(static_cast<T*>(data), count, T{1});
}

void fill_numbers(ONNXTensorElementDataType type, void* data, std::size_t count) {
  std::uint64_t state = 0x9e3779b97f4a7c15U;  // xorshift: the same numbers at each call
  const auto next = [&] {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return static_cast<double>(state >> 11) * 0x1p-53;
  };
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
      for (std::size_t i = 0; i < count; ++i) static_cast<float*>(data)[i] = static_cast<float>(next());
      return;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE:
      for (std::size_t i = 0; i < count; ++i) static_cast<double*>(data)[i] = next();
      return;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:  // 0.5 … 1 in steps of 1/2048
      for (std::size_t i = 0; i < count; ++i)
        static_cast<std::uint16_t*>(data)[i] = static_cast<std::uint16_t>(0x3800 + static_cast<int>(next() * 1024));
      return;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16:  // 0.5 … 1 in steps of 1/256
      for (std::size_t i = 0; i < count; ++i)
        static_cast<std::uint16_t*>(data)[i] = static_cast<std::uint16_t>(0x3f00 + static_cast<int>(next() * 128));
      return;
    default: break;
  }
  switch (width_of(type)) {
    case 1: return fill_whole<std::uint8_t>(data, count);
    case 2: return fill_whole<std::uint16_t>(data, count);
    case 4: return fill_whole<std::uint32_t>(data, count);
    default: return fill_whole<std::uint64_t>(data, count);
  }
}

std::string words_of(const std::vector<std::int64_t>& shape) {
  std::string words;
  for (const std::int64_t one : shape) words += (words.empty() ? "" : "x") + (one < 0 ? "?" : std::to_string(one));
  return words;
}

// The name of an input or output, from memory that ONNX Runtime wants back.
template <class Get>
std::optional<Failure> name_of(const OrtSession* session, std::size_t place, const Get& get, std::string& out) {
  OrtAllocator* allocator = nullptr;
  if (auto failure = failed(api()->GetAllocatorWithDefaultOptions(&allocator), "internal")) return failure;
  char* name = nullptr;
  if (auto failure = failed(get(session, place, allocator, &name), "model")) return failure;
  out = name;
  return failed(api()->AllocatorFree(allocator, name), "internal");
}

std::optional<Failure> read_type(const OrtSession* session, std::size_t place, Port& port) {
  OrtTypeInfo* info = nullptr;
  if (auto failure = failed(api()->SessionGetInputTypeInfo(session, place, &info), "model")) return failure;
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;
  auto failure = failed(api()->CastTypeInfoToTensorInfo(info, &tensor), "model");
  if (!failure && tensor == nullptr) failure = Failure{"model", "input '" + port.name + "' is no tensor"};
  std::size_t rank = 0;
  if (!failure) failure = failed(api()->GetTensorElementType(tensor, &port.type), "model");
  if (!failure) failure = failed(api()->GetDimensionsCount(tensor, &rank), "model");
  port.shape.resize(rank);
  if (!failure) failure = failed(api()->GetDimensions(tensor, port.shape.data(), rank), "model");
  api()->ReleaseTypeInfo(info);
  return failure;
}

}  // namespace

std::string OnnxSession::version() { return OrtGetApiBase()->GetVersionString(); }

std::optional<Failure> OnnxSession::open(const SessionSettings& settings) {
  close();
  if (api() == nullptr)
    return Failure{"internal", "ONNX Runtime " + version() + " is older than the header this worker was built with"};
  if (environment() == nullptr) return Failure{"internal", "ONNX Runtime could not be started"};
  if (auto failure = failed(api()->CreateSessionOptions(&options_), "internal")) return failure;
  if (auto failure = failed(api()->SetIntraOpNumThreads(options_, settings.threads), "internal")) return failure;
  if (auto failure = failed(
          api()->SetSessionGraphOptimizationLevel(options_, settings.as_it_is ? ORT_DISABLE_ALL : ORT_ENABLE_ALL),
          "internal"))
    return failure;
  if (settings.profile)
    if (auto failure = failed(api()->EnableProfiling(options_, settings.profile_prefix.c_str()), "internal"))
      return failure;
  if (!settings.optimised_model.empty())
    if (auto failure = failed(api()->SetOptimizedModelFilePath(options_, settings.optimised_model.c_str()), "internal"))
      return failure;
  if (auto failure = failed(api()->CreateSession(environment(), settings.model.c_str(), options_, &session_), "model"))
    return failure;
  return read_ports();
}

std::optional<Failure> OnnxSession::read_ports() {
  std::size_t inputs = 0, outputs = 0;
  if (auto failure = failed(api()->SessionGetInputCount(session_, &inputs), "model")) return failure;
  if (auto failure = failed(api()->SessionGetOutputCount(session_, &outputs), "model")) return failure;
  for (std::size_t i = 0; i < inputs; ++i) {
    Port port;
    if (auto failure = name_of(session_, i, api()->SessionGetInputName, port.name)) return failure;
    if (auto failure = read_type(session_, i, port)) return failure;
    inputs_.push_back(std::move(port));
  }
  for (std::size_t i = 0; i < outputs; ++i) {
    std::string name;
    if (auto failure = name_of(session_, i, api()->SessionGetOutputName, name)) return failure;
    outputs_.push_back(std::move(name));
  }
  return std::nullopt;
}

void OnnxSession::drop_inputs() {
  for (OrtValue* one : own_) api()->ReleaseValue(one);
  own_.clear(), values_.clear();
}

std::optional<Failure> OnnxSession::make_inputs(const std::map<std::string, std::vector<std::int64_t>>& shapes,
                                                const KeptValues* kept) {
  drop_inputs();
  for (const Port& port : inputs_) {
    if (OrtValue* const one = kept == nullptr ? nullptr : kept->find(port.name)) {
      values_.push_back(one);
      continue;
    }
    const auto told = shapes.find(port.name);
    const std::vector<std::int64_t>& shape = told == shapes.end() ? port.shape : told->second;
    if (std::any_of(shape.begin(), shape.end(), [](std::int64_t one) { return one < 1; }))
      return Failure{"model", "the shape of input '" + port.name + "' is not fixed: " + words_of(shape)};
    if (auto failure = fill(port, shape)) return failure;
  }
  return std::nullopt;
}

std::optional<Failure> OnnxSession::fill(const Port& port, const std::vector<std::int64_t>& shape) {
  if (width_of(port.type) == 0)
    return Failure{"model", "input '" + port.name + "' is of a type that cannot be made up here"};
  OrtAllocator* allocator = nullptr;
  if (auto failure = failed(api()->GetAllocatorWithDefaultOptions(&allocator), "internal")) return failure;
  OrtValue* value = nullptr;
  if (auto failure =
          failed(api()->CreateTensorAsOrtValue(allocator, shape.data(), shape.size(), port.type, &value), "memory"))
    return failure;
  values_.push_back(value);
  own_.push_back(value);
  void* data = nullptr;
  if (auto failure = failed(api()->GetTensorMutableData(value, &data), "internal")) return failure;
  std::size_t count = 1;
  for (const std::int64_t one : shape) count *= static_cast<std::size_t>(one);
  fill_numbers(port.type, data, count);
  return std::nullopt;
}

std::optional<Failure> OnnxSession::run_into(std::vector<OrtValue*>& made) {
  std::vector<const char*> input_names, output_names;
  for (const Port& one : inputs_) input_names.push_back(one.name.c_str());
  for (const std::string& one : outputs_) output_names.push_back(one.c_str());
  made.assign(outputs_.size(), nullptr);
  return failed(api()->Run(session_, nullptr, input_names.data(), values_.data(), values_.size(), output_names.data(),
                           output_names.size(), made.data()),
                "internal");
}

std::optional<Failure> OnnxSession::run() {
  std::vector<OrtValue*> made;
  auto failure = run_into(made);
  for (OrtValue* one : made)
    if (one != nullptr) api()->ReleaseValue(one);
  return failure;
}

std::optional<Failure> OnnxSession::run_and_keep(KeptValues& kept) {
  std::vector<OrtValue*> made;
  auto failure = run_into(made);
  for (std::size_t i = 0; i < made.size(); ++i)
    if (made[i] != nullptr) kept.keep(outputs_[i], made[i]);
  if (failure) return failure;
  for (std::size_t i = 0; i < values_.size(); ++i) kept.keep(inputs_[i].name, values_[i]);
  own_.clear(), values_.clear();  // whose they were now is `kept`
  return std::nullopt;
}

void KeptValues::clear() {
  for (const auto& [name, value] : values_) api()->ReleaseValue(value);
  values_.clear();
}

void KeptValues::keep(const std::string& name, OrtValue* value) {
  const auto [place, added] = values_.try_emplace(name, value);
  if (added) return;
  api()->ReleaseValue(place->second);
  place->second = value;
}

OrtValue* KeptValues::find(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? nullptr : found->second;
}

std::optional<Failure> KeptValues::describe(std::vector<Port>& out) const {
  for (const auto& [name, value] : values_) {
    int tensor = 0;
    if (auto failure = failed(api()->IsTensor(value, &tensor), "internal")) return failure;
    if (tensor == 0) continue;
    OrtTensorTypeAndShapeInfo* info = nullptr;
    if (auto failure = failed(api()->GetTensorTypeAndShape(value, &info), "internal")) return failure;
    Port port;
    port.name = name;
    std::size_t rank = 0;
    auto failure = failed(api()->GetTensorElementType(info, &port.type), "internal");
    if (!failure) failure = failed(api()->GetDimensionsCount(info, &rank), "internal");
    port.shape.resize(rank);
    if (!failure) failure = failed(api()->GetDimensions(info, port.shape.data(), rank), "internal");
    api()->ReleaseTensorTypeAndShapeInfo(info);
    if (failure) return failure;
    out.push_back(std::move(port));
  }
  return std::nullopt;
}

std::optional<Failure> OnnxSession::end_profiling(std::string& file) {
  return name_of(
      session_, 0,
      [](const OrtSession* session, std::size_t, OrtAllocator* allocator, char** name) {
        return api()->SessionEndProfiling(const_cast<OrtSession*>(session), allocator, name);
      },
      file);
}

void OnnxSession::close() {
  drop_inputs();
  if (session_ != nullptr) api()->ReleaseSession(session_);
  if (options_ != nullptr) api()->ReleaseSessionOptions(options_);
  session_ = nullptr, options_ = nullptr;
  inputs_.clear(), outputs_.clear();
}

}  // namespace prony_engine
