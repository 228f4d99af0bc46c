#include "complexity/model_files.hpp"

#include <filesystem>
#include <utility>

#include "complexity/huggingface.hpp"
#include "complexity/safetensors.hpp"

namespace prony::complexity {

namespace {

ModelFiles with_shape(ModelFiles model, const GgufHeader& header) {
  if (model.why_no_costs.empty()) {
    if (auto shape = shape_of(header)) {
      model.shape = std::move(*shape);
      return model;
    } else {
      model.why_no_costs = shape.error().what;
      if (!shape.error().where.empty()) model.why_no_costs += " (" + shape.error().where + ")";
    }
  }
  model.shape = totals_of(header);
  return model;
}

Result<ModelFiles> model_of_folder(const std::string& folder) {
  auto files = read_huggingface(folder);
  if (!files) return Unexpected<Error>(files.error());
  return with_shape({"safetensors", std::move(files->paths), files->bytes, {}, std::move(files->why_no_costs)},
                    files->header);
}

// Alone it tells its tensors; what they are used for stands in config.json.
Result<ModelFiles> model_of_safetensors(const std::string& path) {
  auto file = read_safetensors(path);
  if (!file) return Unexpected<Error>(file.error());
  GgufHeader header;
  header.tensors = std::move(file->tensors);
  return with_shape({"safetensors",
                     {path},
                     file->bytes,
                     {},
                     "a safetensors file alone does not say what it computes: name its folder, with config.json"},
                    header);
}

}  // namespace

ModelFiles model_of(GgufFiles&& files) {
  return with_shape({"GGUF", std::move(files.paths), files.bytes, {}, {}}, files.header);
}

Result<ModelFiles> read_model(const std::string& path) {
  std::error_code unknown;
  if (std::filesystem::is_directory(path, unknown)) return model_of_folder(path);
  if (path.ends_with(".safetensors")) return model_of_safetensors(path);
  auto files = read_gguf_files(path);
  if (!files) return Unexpected<Error>(files.error());
  return model_of(std::move(*files));
}

}  // namespace prony::complexity
