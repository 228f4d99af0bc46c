# The native half of the Python wheel: libprony, libprony-meter and the program `prony`, side by side in prony/_native, with the
# libraries beyond the C and C++ run-time that they need. `cmake --install build/dev --component python --prefix DIR`
# stages it; PRONY_PREBUILT=DIR makes a wheel of what was staged, with neither a compiler nor a build.
set(PRONY_NATIVE prony/_native)

if(PRONY_PREBUILT)
  foreach(name libprony.so.1 libprony-meter.so.1 prony)
    if(NOT EXISTS ${PRONY_PREBUILT}/${PRONY_NATIVE}/${name})
      message(FATAL_ERROR "PRONY_PREBUILT=${PRONY_PREBUILT} has no ${PRONY_NATIVE}/${name}\n"
        "Stage it first: cmake --install BUILD --component python --prefix ${PRONY_PREBUILT}")
    endif()
  endforeach()
  add_custom_target(python_native)
  install(DIRECTORY ${PRONY_PREBUILT}/${PRONY_NATIVE}/ DESTINATION ${PRONY_NATIVE} COMPONENT python USE_SOURCE_PERMISSIONS)
  return()
endif()

add_custom_target(python_native DEPENDS prony prony_shared prony_meter)
set_property(TARGET prony APPEND PROPERTY INSTALL_RPATH "$ORIGIN")
install(TARGETS prony RUNTIME DESTINATION ${PRONY_NATIVE} COMPONENT python EXCLUDE_FROM_ALL)
install(TARGETS prony_shared prony_meter LIBRARY DESTINATION ${PRONY_NATIVE} COMPONENT python EXCLUDE_FROM_ALL
  NAMELINK_SKIP)
# A wheel holds no links: each library has the one name that is asked for. Without debug information, which is most of it.
install(CODE "set(version ${PROJECT_VERSION})\nset(strip \"${CMAKE_STRIP}\")\nset(native ${PRONY_NATIVE})"
  COMPONENT python EXCLUDE_FROM_ALL)
install(CODE [[
  set(folder "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/${native}")
  foreach(name libprony libprony-meter)
    file(RENAME "${folder}/${name}.so.${version}" "${folder}/${name}.so.1")
  endforeach()
  file(GET_RUNTIME_DEPENDENCIES RESOLVED_DEPENDENCIES_VAR needed UNRESOLVED_DEPENDENCIES_VAR missing
    LIBRARIES "${folder}/libprony-meter.so.1" EXECUTABLES "${folder}/prony"
    PRE_INCLUDE_REGEXES "^lib(fmt|sqlite3|zstd)\\." PRE_EXCLUDE_REGEXES ".*")
  if(missing)
    message(FATAL_ERROR "not found for the wheel: ${missing}")
  endif()
  foreach(path ${needed})
    get_filename_component(name "${path}" NAME)
    file(COPY_FILE "${path}" "${folder}/${name}")
  endforeach()
  file(GLOB natives "${folder}/*")
  if(strip)
    execute_process(COMMAND "${strip}" --strip-debug ${natives} COMMAND_ERROR_IS_FATAL ANY)
  endif()
]] COMPONENT python EXCLUDE_FROM_ALL)
