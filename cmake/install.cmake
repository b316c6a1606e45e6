# What `cmake --install` puts where. The components are those of the Debian packages.
include(CMakePackageConfigHelpers)

install(TARGETS tiny DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tiny)
install(TARGETS tiny_shared EXPORT tinyTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libtiny NAMELINK_COMPONENT libtiny-dev)
install(TARGETS tiny_static EXPORT tinyTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libtiny-dev)
install(FILES runtime/tiny.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT libtiny-dev)

# Both find the rest from where they lie themselves, so any prefix will do.
file(RELATIVE_PATH up ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/tiny.pc.in ${PROJECT_BINARY_DIR}/tiny.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/tiny.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT libtiny-dev)

set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/tiny)
install(EXPORT tinyTargets NAMESPACE tiny:: DESTINATION ${config_folder} COMPONENT libtiny-dev)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tinyConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/tinyConfig.cmake ${PROJECT_BINARY_DIR}/tinyConfigVersion.cmake
  DESTINATION ${config_folder} COMPONENT libtiny-dev)
