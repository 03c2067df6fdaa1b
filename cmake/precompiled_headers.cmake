# What nearly every source includes of the libraries is parsed once, by the target that keeps it (target_precompile_headers):
#   use_precompiled_headers(netsense_base ${SOURCE_DIR})     every target of that folder and below uses what netsense_base keeps
# A source names what it uses all the same: the release preset does without this, and fails when one does not.
function(use_precompiled_headers keeper directory)
  get_property(folders DIRECTORY ${directory} PROPERTY SUBDIRECTORIES)
  foreach(folder ${folders})
    use_precompiled_headers(${keeper} ${folder})
  endforeach()
  get_property(targets DIRECTORY ${directory} PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target ${targets})
    get_target_property(type ${target} TYPE)
    if(NOT type MATCHES "STATIC_LIBRARY|OBJECT_LIBRARY|EXECUTABLE")
      continue()
    endif()
    # The compiler takes it only where the dialect, the threads and every definition are as they were; it says so where they are not.
    target_compile_options(${target} PRIVATE -pthread -Wpedantic -Winvalid-pch)
    if(NOT target STREQUAL keeper)
      target_compile_definitions(${target} PRIVATE $<TARGET_PROPERTY:${keeper},COMPILE_DEFINITIONS>)
      target_precompile_headers(${target} REUSE_FROM ${keeper})
    endif()
  endforeach()
endfunction()
