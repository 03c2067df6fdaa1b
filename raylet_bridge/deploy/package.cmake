# The Debian package (`make deb`): the programs, their services, the documents. Its own files are a component that a plain
# `cmake --install` leaves out, because they belong to /usr and /etc.
set(deploy ${CMAKE_CURRENT_LIST_DIR})
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME netsense)
set(CPACK_PACKAGE_VENDOR "the netsense project")
# Who makes the package: DEBFULLNAME and DEBEMAIL, as Debian's own tools take it.
set(CPACK_PACKAGE_CONTACT "netsense <netsense@localhost>")
if(DEFINED ENV{DEBEMAIL})
  set(CPACK_PACKAGE_CONTACT "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
endif()
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "measures the network between the nodes of a GPU cluster")
set(CPACK_PACKAGE_DESCRIPTION
    "Every node measures round-trip time and bandwidth to every other node,
continuously and lightly, over TCP, gRPC, UCX and RDMA, beside Ray or without,
and hands the result to people and schedulers.
.
netsense-engine measures, netsense-bridge follows the cluster and reports,
netsense-bench is the same measurement by hand.")
set(CPACK_INSTALL_CMAKE_PROJECTS "${CMAKE_BINARY_DIR};netsense;ALL;/" "${CMAKE_BINARY_DIR};netsense;package;/")
# With a DESTDIR, so that what belongs below /etc gets there.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Loaded when they are there.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ibverbs-providers, libibverbs1, systemd")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${deploy}/debian/conffiles ${deploy}/debian/postinst ${deploy}/debian/postrm
                                       ${deploy}/debian/prerm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

find_program(GZIP gzip REQUIRED)
set(changelog ${CMAKE_CURRENT_BINARY_DIR}/changelog.gz)
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/changelog
     "netsense (${PROJECT_VERSION}) unstable; urgency=medium\n\n  * This release.\n\n -- ${CPACK_PACKAGE_CONTACT}  Thu, 01 Jan 1970 00:00:00 +0000\n")
execute_process(COMMAND ${GZIP} -9nc ${CMAKE_CURRENT_BINARY_DIR}/changelog OUTPUT_FILE ${changelog} COMMAND_ERROR_IS_FATAL ANY)

function(install_packaged destination)
  install(FILES ${ARGN} DESTINATION ${destination} COMPONENT package EXCLUDE_FROM_ALL)
endfunction()
set(doc ${CMAKE_INSTALL_DATAROOTDIR}/doc/netsense)
file(GLOB documents CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/*.md)
install_packaged(lib/systemd/system ${deploy}/systemd/netsense-bridge.service ${deploy}/systemd/netsense-engine.service)
install_packaged(${doc} ${documents} ${PROJECT_SOURCE_DIR}/README.md ${deploy}/debian/copyright ${changelog})
install_packaged(${doc}/examples ${deploy}/Dockerfile ${deploy}/kuberay/podmonitor.yaml
                 ${deploy}/kuberay/raycluster.yaml)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/raylet_bridge/monitoring DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/netsense
        COMPONENT package EXCLUDE_FROM_ALL OPTIONAL)
install(FILES ${deploy}/debian/netsense.default DESTINATION /etc/default RENAME netsense COMPONENT package EXCLUDE_FROM_ALL)
install(DIRECTORY DESTINATION /etc/netsense COMPONENT package EXCLUDE_FROM_ALL)
include(CPack)
