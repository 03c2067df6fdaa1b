# Puts files into a program, as the string constants that a header declares:
#   embed_files(OUTPUT page.cc HEADER bench/report/page.h NAMESPACE netsense::page FILES kHtml=page.html kStyle=page.css)
# Run as a script, this file writes that output.
if(CMAKE_SCRIPT_MODE_FILE)
  set(source "#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n")
  foreach(entry ${FILES})
    string(REGEX MATCH "^([^=]+)=(.*)$" matched "${entry}")
    set(name ${CMAKE_MATCH_1})
    file(READ "${CMAKE_MATCH_2}" text)
    string(APPEND source "const std::string_view ${name} = R\"~netsense~(${text})~netsense~\";\n")
  endforeach()
  file(WRITE "${OUTPUT}" "${source}}  // namespace ${NAMESPACE}\n")
  return()
endif()

set(NETSENSE_EMBED_FILES ${CMAKE_CURRENT_LIST_FILE})
# OUTPUT lands in the current build folder; files are named from the current source folder.
function(embed_files)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "OUTPUT;HEADER;NAMESPACE" "FILES")
  set(entries)
  set(sources)
  foreach(entry ${arg_FILES})
    string(REGEX MATCH "^([^=]+)=(.*)$" matched "${entry}")
    set(name ${CMAKE_MATCH_1})
    cmake_path(ABSOLUTE_PATH CMAKE_MATCH_2 BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} OUTPUT_VARIABLE path)
    list(APPEND entries "${name}=${path}")
    list(APPEND sources ${path})
  endforeach()
  add_custom_command(
    OUTPUT ${arg_OUTPUT}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${CMAKE_CURRENT_BINARY_DIR}/${arg_OUTPUT} -DHEADER=${arg_HEADER}
            -DNAMESPACE=${arg_NAMESPACE} "-DFILES=${entries}" -P ${NETSENSE_EMBED_FILES}
    DEPENDS ${NETSENSE_EMBED_FILES} ${sources}
    COMMENT "Embedding ${arg_OUTPUT}" VERBATIM)
endfunction()
