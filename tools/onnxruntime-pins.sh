# What tools/setup-onnxruntime.sh fetches: exact versions and checksums. The libraries come from the package that carries
# them prebuilt (sha512 of the package as published, base64), the C header from a Go module that carries it as released
# (sum as the Go checksum database has it). A header older than the library is what ONNX Runtime's C interface allows.
onnxruntime_version=1.30.0
onnxruntime_sha512='twhs1C2C/BFkz1yc5OY0KIU2GUq6DURO7hD4bx5Q2Qy3nAMJwRXW8xU3NVczE29VA9lolLOYepoD8fjTGOfIqw=='
onnxruntime_header_module=github.com/yalue/onnxruntime_go
onnxruntime_header_version=v1.27.0
onnxruntime_header_sum='h1:c1YSgDNtpf0WGtxj3YeRIb8VC5LmM1J+Ve3uHdteC1U='
