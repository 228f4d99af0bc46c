# Toolchain: cross-build for 32-bit ARM with hardware floating point (the first Raspberry Pis, 32-bit Raspberry Pi OS on all).
set(CMAKE_SYSTEM_PROCESSOR arm)
set(PRONY_TRIPLET arm-linux-gnueabihf)
set(PRONY_DEBIAN_ARCH armhf)
set(PRONY_QEMU_NAME qemu-arm-static)
# What changed in GCC 7 and would be said at every vector: nothing here was built by an older one.
set(CMAKE_CXX_FLAGS_INIT -Wno-psabi)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
