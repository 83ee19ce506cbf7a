# Run by the build: the packages of REQUIREMENTS into DIR, which is replaced as a whole. Where that
# fails (no pip, no network) the build goes on, since only the chat needs them, and the next build
# tries again: the copy of REQUIREMENTS in DIR says what is there.
#
#   cmake -DREQUIREMENTS=… -DDIR=… -DPYTHON=… -P vendor.cmake
set(stamp ${DIR}/vendor.txt)
if(EXISTS ${stamp})
    file(SHA256 ${stamp} present)
    file(SHA256 ${REQUIREMENTS} wanted)
    if(present STREQUAL wanted)
        return()
    endif()
endif()

set(fresh ${DIR}.new)
set(output "")
foreach(python IN ITEMS ${PYTHON} python3)
    file(REMOVE_RECURSE ${fresh})
    execute_process(
        COMMAND ${python} -m pip install --quiet --disable-pip-version-check --no-input --retries 1 --timeout 30
            --no-compile --only-binary :all: --no-deps --require-hashes --target ${fresh}
            -r ${REQUIREMENTS}
        RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE err)
    if(status EQUAL 0)
        file(REMOVE_RECURSE ${DIR} ${fresh}/bin)
        file(RENAME ${fresh} ${DIR})
        configure_file(${REQUIREMENTS} ${stamp} COPYONLY)
        return()
    endif()
    string(APPEND output "${python} -m pip: ${status} ${out}${err}\n")
endforeach()
file(REMOVE_RECURSE ${fresh})
message("${output}"
    "The packages of pyglue/vendor.txt could not be installed. clrun works without them, but a chat\n"
    "needs them: install them into the app's environment (pip install -r pyglue/vendor.txt), or\n"
    "build again where pip works.")
