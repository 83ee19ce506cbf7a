# lib.sh: what the scripts share. Sourced from the repository's root under `set -euo pipefail`.

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "$*"
    exit 1
}

# quietly COMMAND…: its output is shown only if it fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 || status=$?
    if [ "$status" != 0 ]; then
        cat "$log" >&2
        say "failed ($status): $*"
    fi
    rm -f "$log"
    return "$status"
}

is_debian() {
    command -v apt-get >/dev/null && command -v dpkg-query >/dev/null
}

has_package() {
    [ "$(dpkg-query -W -f='${Status}' "$1" 2>/dev/null)" = 'install ok installed' ]
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root: $*"
    fi
}

# ensure PACKAGE…: installs what is missing. "a|b" takes the first one that is installed or can be.
ensure() {
    local missing=() wanted one found
    for wanted in "$@"; do
        found=
        for one in ${wanted//|/ }; do
            if has_package "$one"; then
                found=1
                break
            fi
        done
        [ -n "$found" ] || missing+=("$wanted")
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    quietly as_root apt-get update
    local names=()
    for wanted in "${missing[@]}"; do
        found=
        for one in ${wanted//|/ }; do
            if apt-cache show "$one" >/dev/null 2>&1; then
                found=$one
                break
            fi
        done
        [ -n "$found" ] || die "this system has no package $wanted"
        names+=("$found")
    done
    say "installing: ${names[*]}"
    quietly as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${names[@]}"
}

# is_python PATH: CPython 3.11 or newer.
is_python() {
    "$1" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 11) or sys.implementation.name != "cpython")' \
        >/dev/null 2>&1
}

# The system's CPython of 3.11 or newer, or nothing.
find_python() {
    local name
    for name in /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null && is_python "$name"; then
            command -v "$name"
            return
        fi
    done
}

# What a build needs. Where there is no apt, CMake names what is missing.
ensure_build_packages() {
    if ! is_debian; then
        command -v cmake >/dev/null && command -v ninja >/dev/null && return
        say 'clrun needs CMake, Ninja, a C compiler, and the headers of libuv, llhttp, wslay, cJSON, OpenSSL,'
        say 'zlib and CPython 3.11 or newer. Their packages:'
        say '  Fedora: cmake ninja-build gcc libuv-devel llhttp-devel wslay-devel cjson-devel openssl-devel zlib-devel python3-devel'
        say '  Arch:   cmake ninja gcc libuv llhttp wslay cjson openssl zlib python'
        say '  Alpine: cmake ninja gcc musl-dev libuv-dev llhttp-dev wslay-dev cjson-dev openssl-dev zlib-dev python3-dev'
        exit 1
    fi
    ensure build-essential cmake ninja-build pkg-config libuv1-dev 'libllhttp-dev|node-llhttp' \
        libwslay-dev libcjson-dev libssl-dev zlib1g-dev
    [ -n "$(find_python)" ] || ensure python3
    if [ -z "$(find_python)" ]; then # an older system, whose python3 is too old
        ensure 'python3.14|python3.13|python3.12|python3.11'
    fi
    case $(find_python) in
    /usr/bin/python3) ensure python3-dev ;;
    /usr/bin/python3.*) ensure "$(basename "$(find_python)")-dev" ;;
    esac
    python3 -m pip --version >/dev/null 2>&1 || ensure python3-pip # for pyglue/vendor.txt
}

# ensure_venv DIR REQUIREMENTS [PYTHON]: a virtual environment with exactly these requirements.
ensure_venv() {
    local dir=$1 requirements=$2 python=${3:-$(find_python)}
    if [ -f "$dir/requirements.txt" ] && cmp -s "$requirements" "$dir/requirements.txt" &&
        "$dir/bin/python" -c '' 2>/dev/null; then
        return 0
    fi
    case $python in
    /usr/bin/python3) ! is_debian || ensure python3-venv ;;
    /usr/bin/python3.*) ! is_debian || ensure "$(basename "$python")-venv" ;;
    esac
    say "making $dir"
    rm -rf "$dir"
    quietly "$python" -m venv "$dir" &&
        quietly "$dir/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" &&
        cp "$requirements" "$dir/requirements.txt"
}

# build PRESET [TARGET]: everything, or the target; of the preset fuzz the fuzzers.
build() {
    local preset=$1 dir=build target=${2:-all}
    [ "$preset" = release ] || dir=build-$preset
    [ "$preset" != fuzz ] || target=tests/fuzz/all
    if [ ! -f "$dir/build.ninja" ]; then
        say "building in $dir, the first time takes some minutes"
        quietly cmake --preset "$preset"
    fi
    quietly cmake --build "$dir" --target "$target"
}
