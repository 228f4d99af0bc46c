# What tools/setup-llama.sh fetches: exact versions and the sha512 of each package as published (base64).
# To move to another version: change all four lines together, run tools/setup-llama.sh, then the tests of the engine.
llama_packages_version=3.22.1
llama_cpp_version=0.5.0
# x86-64 libraries, aarch64 libraries, and the package that carries the source these were built from (for the headers).
llama_sha512_linux_x64='5uCCDNqWCNfaAm8aR/Uzxbo4HBpKgNF91kCHPepKhgMgV2OAmatoefbOlMihsqCiH2Od35E/eUHQCFbfRBJuOg=='
llama_sha512_linux_arm64='W+7naKCXX9/eEjjFmRS8vvx91QyLXDbeFexxZc3bh/PtQABZgmRL3C0AtYYXn4YGTj/3Qor4lWZn2tpjZFPLdQ=='
llama_sha512_source='bltIipuWmc123H7tMIgDGKSsSrhmhlQYeVUC48XTjVW7XGJJiJJyCdlTMzQ/LiWoPkGDpcL4FviDpgw7qfTiDw=='
