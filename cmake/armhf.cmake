# Toolchain: cross-build for 32-bit ARM, ARMv7 with hardware floating point as Debian's armhf is (32-bit Raspberry Pi OS from the
# Pi 2 on; the first Pi and the Zero are ARMv6 and need Raspberry Pi OS's own compiler).
set(CMAKE_SYSTEM_PROCESSOR arm)
set(PRONY_TRIPLET arm-linux-gnueabihf)
set(PRONY_DEBIAN_ARCH armhf)
set(PRONY_QEMU_NAME qemu-arm-static)
# What changed in GCC 7 and would be said at every vector: nothing here was built by an older one.
set(CMAKE_CXX_FLAGS_INIT -Wno-psabi)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
