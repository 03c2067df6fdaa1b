# Every compiler runs through ccache where there is one: what was compiled once, in whatever folder or clone, is not compiled again.
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # BASEDIR, NOHASHDIR: the same source in another clone is the same. DEPEND: a miss costs no run of the preprocessor.
  # SLOPPINESS: what ccache wants before it touches a precompiled header, which is younger than what it is made of.
  # INODECACHE: a file, and the precompiled header is a big one, is read once and not for every object.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_DEPEND=1 CCACHE_INODECACHE=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()
