# Fuzzing: a file a harness (fuzz/harness.h), a folder of kept inputs a harness. With libFuzzer (preset fuzz) each is a
# program, fuzz_NAME; without, all of them are one test program that reads the kept inputs.
set(fuzz_harnesses cluster door_record engine_snapshot frame_session framed_messages gcs_answers hello http_request hwloc_xml inventory_record nccl_xml
                   one_line order packet plan raylet_process report responder results roster settings sysfs_tree token_file topology_answer)
set(fuzz_shared fuzz/harness.cc fuzz/machine.cc fuzz/matrix_reader.cc fuzz/memory_file.cc)
set(fuzz_libraries netsense_bridge_lib netsense_compare netsense_engine netsense_matrix netsense_report netsense_rows netsense_topo
                   pugixml::pugixml ${CMAKE_DL_LIBS})

if(NETSENSE_SANITIZE MATCHES fuzzer)
  add_library(fuzz_shared OBJECT ${fuzz_shared} fuzz/libfuzzer.cc)
  target_link_libraries(fuzz_shared PUBLIC ${fuzz_libraries})
  add_custom_target(fuzzers)
  foreach(name ${fuzz_harnesses})
    add_executable(fuzz_${name} fuzz/${name}.cc)
    target_link_libraries(fuzz_${name} PRIVATE fuzz_shared)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzzers fuzz_${name})
  endforeach()
else()
  list(TRANSFORM fuzz_harnesses REPLACE "(.+)" "fuzz/\\1.cc" OUTPUT_VARIABLE fuzz_sources)
  add_gtest(fuzz_tests fuzz fuzz/corpus_test.cc ${fuzz_shared} ${fuzz_sources})
  target_link_libraries(fuzz_tests PRIVATE ${fuzz_libraries})
  target_compile_definitions(fuzz_tests PRIVATE NETSENSE_FUZZ_CORPUS="${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus")
endif()
