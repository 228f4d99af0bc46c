// What each key of LLenergyMeasure's configurations is here. Data alone; see llenergymeasure.hpp.
#pragma once

#include <array>
#include <string_view>

namespace prony::study::llem {

enum class How {
  same,         // the value as it is
  engine,       // its names of engines
  fixed_batch,  // 16 → "static:16"
  dtype,        // "torch.float16" too
  bits8,        // true → 8bit
  bits4,        // true → 4bit
  quant_type,   // nf4 → nf4
  sampling,     // false → temperature 0
  preset,       // of sampling
  seconds,
  hours,
  run_order,
  prompt_order,
  prompt_file,
  days,
  left_out,  // `key` says why
};

struct Row {
  std::string_view path;  // ends with ".*": all below it
  std::string_view key;   // "study.…" and "schedule.…": of those tables, else a setting of [base]
  How how = How::same;
  std::string_view remark = {};  // of what is taken over: how it differs
};

inline constexpr std::string_view never_used = "its own program reads it and never uses it";
inline constexpr std::string_view a_label = "a label, or what is measured says it";
inline constexpr std::string_view servers = "of a server's own command line: start it so, then  url = \"…\"";
inline constexpr std::string_view not_here = "it has no counterpart here";
inline constexpr std::string_view all_sensors = "all sensors that are found are read, see `prony sensors`";
inline constexpr std::string_view idle = "the idle machine is measured with  baseline = \"10s\"";
inline constexpr std::string_view no_floor =
    "nothing rests between warm-up and window: there a machine cools down; see [gate]";
inline constexpr std::string_view no_containers = "Prony starts no containers";
inline constexpr std::string_view in_batch_sleeps =
    "sleeps within the timed window are no latency: see  rate, arrivals, bursts";

inline constexpr std::string_view a_folder = "a folder with its files, or a server's name of it: nothing is fetched";
inline constexpr std::string_view last_tokens = "a longer prompt is cut to its last tokens, there to its first";
inline constexpr std::string_view a_server = "vLLM and TensorRT-LLM are servers here: start one, then  url = \"…\"";

inline constexpr std::array rows{
    // llem
    Row{"study_name", "study.name"},
    Row{"task.model", "model", How::same, a_folder},
    Row{"task.dataset.source", "prompts", How::prompt_file},
    Row{"task.dataset.n_prompts", "requests"},
    Row{"task.dataset.order", "order", How::prompt_order},
    Row{"task.max_input_tokens", "truncate-prompt", How::same, last_tokens},
    Row{"task.max_output_tokens", "max-tokens"},
    Row{"task.random_seed", "seed"},
    Row{"engine", "engine", How::engine},
    Row{"sampling_preset", "temperature", How::preset},
    Row{"measurement.warmup.n_warmup", "warmup"},
    Row{"measurement.warmup.thermal_floor_seconds", no_floor, How::left_out},
    Row{"measurement.warmup.*", "warmup-until = \"cv=5%,window=5,most=50\" is a warm-up that ends by a rule",
        How::left_out},
    Row{"measurement.baseline.*", idle, How::left_out},
    Row{"measurement.energy_sampler", all_sensors, How::left_out},
    Row{"transformers.batch_size", "transformers.batching", How::fixed_batch},
    Row{"transformers.dtype", "transformers.dtype", How::dtype},
    Row{"transformers.attn_implementation", "transformers.attention"},
    Row{"transformers.load_in_8bit", "transformers.quantisation", How::bits8},
    Row{"transformers.load_in_4bit", "transformers.quantisation", How::bits4},
    Row{"transformers.bnb_4bit_quant_type", "transformers.quantisation", How::quant_type},
    Row{"transformers.sampling.do_sample", "transformers.temperature", How::sampling},
    Row{"transformers.sampling.temperature", "transformers.temperature"},
    Row{"transformers.sampling.top_k", "transformers.top-k"},
    Row{"transformers.sampling.top_p", "transformers.top-p"},
    Row{"transformers.sampling.min_new_tokens", "transformers.min-tokens"},
    Row{"transformers.*", "the transformers worker has no such option", How::left_out},
    Row{"vllm.sampling.temperature", "openai.temperature"},
    Row{"vllm.sampling.top_k", "openai.top-k"},
    Row{"vllm.sampling.top_p", "openai.top-p"},
    Row{"vllm.sampling.min_tokens", "openai.min-tokens"},
    Row{"vllm.sampling.ignore_eos", "openai.ignore-eos"},
    Row{"vllm.*", servers, How::left_out},
    Row{"tensorrt.*", servers, How::left_out},
    Row{"lora.*", never_used, How::left_out},
    Row{"passthrough_kwargs.*", not_here, How::left_out},
    Row{"study_execution.n_cycles", "study.cycles"},
    Row{"study_execution.experiment_order", "study.order", How::run_order},
    Row{"study_execution.experiment_gap_seconds", "study.experiment-gap", How::seconds},
    Row{"study_execution.cycle_gap_seconds", "study.cycle-gap", How::seconds},
    Row{"study_execution.shuffle_seed", "study.seed"},
    Row{"study_execution.max_consecutive_failures", "study.stop-after"},
    Row{"study_execution.wall_clock_timeout_hours", "study.wall-limit", How::hours},
    Row{"study_execution.experiment_timeout_seconds", "study.timeout", How::seconds},
    Row{"study_execution.stdout_silence_timeout_seconds", "study.silence", How::seconds},
    Row{"study_execution.deduplicate_equivalent", "study.deduplicate"},
    Row{"study_execution.*", not_here, How::left_out},
    Row{"runners.*", no_containers, How::left_out},
    Row{"images.*", no_containers, How::left_out},
    Row{"output.*", "a study's folder is named by  --out", How::left_out},
    Row{"base", "its file is not read: take that one over as well, then  [base] from = \"…\"", How::left_out},
    // The thesis and lem
    Row{"model_name", "model", How::same, a_folder},
    Row{"config_name", "study.name"},
    Row{"num_input_prompts", "requests"},
    Row{"max_input_tokens", "truncate-prompt", How::same, last_tokens},
    Row{"max_output_tokens", "max-tokens"},
    Row{"min_output_tokens", "min-tokens"},
    Row{"num_processes", "ranks"},
    Row{"random_seed", "seed"},
    Row{"num_cycles", "study.cycles"},
    Row{"fp_precision", "dtype", How::dtype},
    Row{"backend", "engine", How::engine},
    Row{"batching_options.batch_size___fixed_batching", "batching", How::fixed_batch},
    Row{"batching_options.*", "adaptive batching never worked there: here it is  batching = \"dynamic:2048\"",
        How::left_out},
    Row{"quantization_config.load_in_8bit", "quantisation", How::bits8},
    Row{"quantization_config.load_in_4bit", "quantisation", How::bits4},
    Row{"quantization_config.*", "counts of FLOP follow from the model, see `prony inspect`", How::left_out},
    Row{"decoder_config.decoding_mode", never_used, How::left_out},
    Row{"decoder_config.decoder_temperature", "temperature"},
    Row{"decoder_config.decoder_top_k", "top-k"},
    Row{"decoder_config.decoder_top_p", "top-p"},
    Row{"decoder.temperature", "temperature"},
    Row{"decoder.top_k", "top-k"},
    Row{"decoder.top_p", "top-p"},
    Row{"decoder.do_sample", "temperature", How::sampling},
    Row{"decoder.preset", "temperature", How::preset},
    Row{"batching.batch_size", "batching", How::fixed_batch},
    Row{"quantization.load_in_8bit", "quantisation", How::bits8},
    Row{"quantization.load_in_4bit", "quantisation", How::bits4},
    Row{"quantization.bnb_4bit_quant_type", "quantisation", How::quant_type},
    Row{"traffic_simulation.target_qps", "rate"},
    Row{"traffic_simulation.mode", "arrivals"},
    Row{"traffic_simulation.*", a_label, How::left_out},
    Row{"schedule.at", "schedule.at"},
    Row{"schedule.days", "schedule.days", How::days},
    Row{"schedule.*", "a study that begins again is a timer of systemd's", How::left_out},
    Row{"prompts.path", "prompts"},
    Row{"prompts.sample_size", "requests"},
    Row{"latency_simulation.*", in_batch_sleeps, How::left_out},
    Row{"query_rate", never_used, How::left_out},
    Row{"sharding_config.*", never_used, How::left_out},
    Row{"adapter", not_here, How::left_out},
    Row{"streaming", "answers are always streamed", How::left_out},
    Row{"streaming_warmup_requests", "warmup"},
    Row{"is_encoder_decoder", a_label, How::left_out},
    Row{"task_type", a_label, How::left_out},
    Row{"inference_type", a_label, How::left_out},
    Row{"suite", a_label, How::left_out},
    Row{"cycle_id", a_label, How::left_out},
    Row{"controlled_variation", a_label, How::left_out},
    Row{"controlled_variation.*", a_label, How::left_out},
    Row{"scenario_info.*", a_label, How::left_out},
    Row{"grid_variation", a_label, How::left_out},
    Row{"grid_variation.*", a_label, How::left_out},
    Row{"gpu_list", "which devices a run sees:  env.CUDA_VISIBLE_DEVICES = \"0,1\"", How::left_out},
    Row{"save_outputs", "keep-output = true keeps prompts and answers", How::left_out},
    Row{"decode_token_to_text", "keep-output = true keeps prompts and answers", How::left_out},
    Row{"baseline.*", idle, How::left_out},
    Row{"timeseries.*", "every sample is kept in the Run", How::left_out},
    Row{"warmup.*", "warmup-until = \"cv=5%,window=5,most=50\" is a warm-up that ends by a rule", How::left_out},
    Row{"io.*", "a study's folder is named by  --out", How::left_out},
};

}  // namespace prony::study::llem
