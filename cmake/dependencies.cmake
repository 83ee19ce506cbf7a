# The libraries clrun stands on, each as an imported target dep_<name>. A missing one is reported
# with the package that brings it, all of them at once.

set(CLRUN_MISSING "")

# clr_dependency(NAME PACKAGE HEADER LIBRARY): found by header and library name.
function(clr_dependency name package header library)
    find_path(${name}_INCLUDE ${header})
    find_library(${name}_LIBRARY ${library})
    mark_as_advanced(${name}_INCLUDE ${name}_LIBRARY)
    if(NOT ${name}_INCLUDE OR NOT ${name}_LIBRARY)
        set(CLRUN_MISSING "${CLRUN_MISSING}\n  ${header}: Debian package ${package}" PARENT_SCOPE)
        return()
    endif()
    add_library(dep_${name} INTERFACE)
    target_include_directories(dep_${name} SYSTEM INTERFACE ${${name}_INCLUDE})
    target_link_libraries(dep_${name} INTERFACE ${${name}_LIBRARY})
endfunction()

clr_dependency(libuv libuv1-dev uv.h uv)
clr_dependency(wslay libwslay-dev wslay/wslay.h wslay)
clr_dependency(cjson libcjson-dev cjson/cJSON.h cjson)
clr_dependency(zlib zlib1g-dev zlib.h z)

find_package(OpenSSL QUIET)
if(OPENSSL_FOUND)
    add_library(dep_openssl INTERFACE)
    target_link_libraries(dep_openssl INTERFACE OpenSSL::SSL OpenSSL::Crypto)
else()
    string(APPEND CLRUN_MISSING "\n  openssl/ssl.h: Debian package libssl-dev")
endif()

# llhttp: a library where the distribution has one (libllhttp-dev), else its generated C sources,
# which Debian 12 ships in the package node-llhttp.
find_path(llhttp_INCLUDE llhttp.h PATHS /usr/share/include/llhttp)
find_library(llhttp_LIBRARY llhttp)
find_path(llhttp_SOURCE llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH)
mark_as_advanced(llhttp_INCLUDE llhttp_LIBRARY llhttp_SOURCE)
if(llhttp_INCLUDE AND llhttp_LIBRARY)
    add_library(dep_llhttp INTERFACE)
    target_link_libraries(dep_llhttp INTERFACE ${llhttp_LIBRARY})
    target_include_directories(dep_llhttp SYSTEM INTERFACE ${llhttp_INCLUDE})
elseif(llhttp_INCLUDE AND llhttp_SOURCE)
    add_library(dep_llhttp STATIC
        ${llhttp_SOURCE}/llhttp.c ${llhttp_SOURCE}/api.c ${llhttp_SOURCE}/http.c)
    target_include_directories(dep_llhttp SYSTEM PUBLIC ${llhttp_INCLUDE})
else()
    string(APPEND CLRUN_MISSING "\n  llhttp.h: Debian package libllhttp-dev, or node-llhttp on Debian 12")
endif()

find_package(Python3 3.11 QUIET COMPONENTS Interpreter Development.Module)
if(NOT Python3_FOUND)
    string(APPEND CLRUN_MISSING "\n  Python.h of CPython 3.11 or newer: Debian package python3-dev")
endif()

if(CLRUN_MISSING)
    message(FATAL_ERROR "clrun needs what is not installed here:${CLRUN_MISSING}")
endif()
