# Toolchain: cross-build for 64-bit ARM.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(PRONY_TRIPLET aarch64-linux-gnu)
set(PRONY_DEBIAN_ARCH arm64)
set(PRONY_QEMU_NAME qemu-aarch64-static)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
