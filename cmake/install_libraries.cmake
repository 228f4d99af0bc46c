# What a program needs that is built against an installed Prony: the libraries, find_package(prony), pkg-config.
# Nothing in the installed files names where they lie, so that the folder may be moved.
include(CMakePackageConfigHelpers)

if(TARGET prony_shared)
  set(installed prony_shared)
  set_target_properties(prony_shared PROPERTIES EXPORT_NAME prony)
  target_include_directories(prony_shared INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  if(TARGET prony_meter)
    list(APPEND installed prony_meter)
    set_target_properties(prony_meter PROPERTIES EXPORT_NAME meter)
  endif()
  install(TARGETS ${installed} EXPORT prony-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
  set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/prony)
  install(EXPORT prony-targets NAMESPACE prony:: DESTINATION ${config_folder} COMPONENT library)
  configure_package_config_file(cmake/prony-config.cmake.in ${CMAKE_BINARY_DIR}/prony-config.cmake
    INSTALL_DESTINATION ${config_folder})
  write_basic_package_version_file(${CMAKE_BINARY_DIR}/prony-config-version.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${CMAKE_BINARY_DIR}/prony-config.cmake ${CMAKE_BINARY_DIR}/prony-config-version.cmake
    DESTINATION ${config_folder} COMPONENT library)
  file(RELATIVE_PATH prefix_from_pc /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  foreach(package prony prony-meter)
    if(package STREQUAL "prony" OR TARGET prony_meter)
      configure_file(cmake/${package}.pc.in ${CMAKE_BINARY_DIR}/${package}.pc @ONLY)
      install(FILES ${CMAKE_BINARY_DIR}/${package}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)
    endif()
  endforeach()
endif()
