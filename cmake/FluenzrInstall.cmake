# What `cmake --install` puts where. Samples of settings go to share/, never to /etc: an operator's
# own settings are not overwritten. The units name /usr/bin, so on a host the prefix is /usr.
include(GNUInstallDirs)

install(TARGETS fluenzr-coordinator fluenzr-node fluenzrctl RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

set(deploy ${PROJECT_SOURCE_DIR}/deploy)
install(DIRECTORY ${deploy}/content DESTINATION ${CMAKE_INSTALL_DATADIR}/fluenzr
    FILES_MATCHING PATTERN "*.pack")
install(FILES ${deploy}/conf/fluenzr-coordinator.yaml ${deploy}/conf/fluenzr-node.yaml
    ${deploy}/conf/scenario.yaml ${deploy}/providers.yaml
    DESTINATION ${CMAKE_INSTALL_DATADIR}/fluenzr/conf)
install(FILES ${deploy}/systemd/fluenzr-coordinator.service ${deploy}/systemd/fluenzr-node.service
    DESTINATION lib/systemd/system)
install(FILES ${deploy}/systemd/fluenzr.sysusers DESTINATION lib/sysusers.d RENAME fluenzr.conf)
install(FILES ${deploy}/systemd/fluenzr.tmpfiles DESTINATION lib/tmpfiles.d RENAME fluenzr.conf)
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${deploy}/OPERATING.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
