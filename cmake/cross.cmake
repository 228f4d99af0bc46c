# What the toolchain files of other architectures share: Debian's cross compiler, against the libraries that tools/sysroot.sh
# put into build/sysroot-<Debian's name>. Tests run under qemu-user (binfmt_misc is not needed). Set before it is included:
# PRONY_TRIPLET (aarch64-linux-gnu), PRONY_DEBIAN_ARCH (arm64), PRONY_QEMU_NAME (qemu-aarch64-static).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${PRONY_TRIPLET}-gcc)
set(CMAKE_CXX_COMPILER ${PRONY_TRIPLET}-g++)
set(CMAKE_LIBRARY_ARCHITECTURE ${PRONY_TRIPLET})

get_filename_component(PRONY_SYSROOT "${CMAKE_CURRENT_LIST_DIR}/../build/sysroot-${PRONY_DEBIAN_ARCH}" ABSOLUTE)
# /usr/<triplet> holds the cross libc; the sysroot holds the rest.
set(CMAKE_FIND_ROOT_PATH ${PRONY_SYSROOT} /usr/${PRONY_TRIPLET})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_DIR} "")
set(ENV{PKG_CONFIG_LIBDIR} ${PRONY_SYSROOT}/usr/lib/${PRONY_TRIPLET}/pkgconfig:${PRONY_SYSROOT}/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${PRONY_SYSROOT})
# Libraries of libraries are looked for when linking, and again when running below the emulator.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-rpath-link,${PRONY_SYSROOT}/usr/lib/${PRONY_TRIPLET} -Wl,-rpath-link,${PRONY_SYSROOT}/lib/${PRONY_TRIPLET}")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "${CMAKE_EXE_LINKER_FLAGS_INIT}")

find_program(PRONY_QEMU ${PRONY_QEMU_NAME})
if(PRONY_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${PRONY_QEMU};-L;/usr/${PRONY_TRIPLET};-E;LD_LIBRARY_PATH=${PRONY_SYSROOT}/usr/lib/${PRONY_TRIPLET}:${PRONY_SYSROOT}/lib/${PRONY_TRIPLET})
endif()

# GoogleTest for that machine: built from the source that the package googletest carries.
set(PRONY_GTEST_SOURCE /usr/src/googletest)
set(GTest_DIR ${CMAKE_CURRENT_LIST_DIR}/gtest-from-source)
