# Toolchain: cross-build for aarch64 with Debian's cross compiler, against the libraries that tools/sysroot-arm64.sh put
# into build/sysroot-arm64. Tests run under qemu-user (binfmt_misc is not needed).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

get_filename_component(PRONY_SYSROOT "${CMAKE_CURRENT_LIST_DIR}/../build/sysroot-arm64" ABSOLUTE)
# /usr/aarch64-linux-gnu holds the cross libc; the sysroot holds the rest.
set(CMAKE_FIND_ROOT_PATH ${PRONY_SYSROOT} /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_DIR} "")
set(ENV{PKG_CONFIG_LIBDIR} ${PRONY_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${PRONY_SYSROOT}/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${PRONY_SYSROOT})
# Libraries of libraries are looked for when linking, and again when running below the emulator.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-rpath-link,${PRONY_SYSROOT}/usr/lib/aarch64-linux-gnu -Wl,-rpath-link,${PRONY_SYSROOT}/lib/aarch64-linux-gnu")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "${CMAKE_EXE_LINKER_FLAGS_INIT}")

find_program(PRONY_QEMU qemu-aarch64-static)
if(PRONY_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${PRONY_QEMU};-L;/usr/aarch64-linux-gnu;-E;LD_LIBRARY_PATH=${PRONY_SYSROOT}/usr/lib/aarch64-linux-gnu:${PRONY_SYSROOT}/lib/aarch64-linux-gnu)
endif()

# GoogleTest for this machine: built from the source that the package googletest carries.
set(PRONY_GTEST_SOURCE /usr/src/googletest)
set(GTest_DIR ${CMAKE_CURRENT_LIST_DIR}/gtest-from-source)
