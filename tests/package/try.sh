# What both scripts of this folder share. `try NAME COMMAND...` runs one test; `ended` prints the counts as
# Rust's test programs do, so that tests/run reads both alike.
passed=0 failed=0

try() {
    local name=$1 said status started=$SECONDS
    shift
    # Not as a condition: there "set -e" is of no effect.
    said=$( (set -eu -o pipefail; "$@") 2>&1 )
    status=$?
    if [ $status -eq 0 ]; then
        echo "test $name ... ok, $((SECONDS - started)) s"
        passed=$((passed + 1))
    else
        printf 'test %s ... FAILED\n---- %s stdout ----\n%s\nfailures:\n' "$name" "$name" "$said"
        failed=$((failed + 1))
    fi
}

ended() {
    local verdict=ok
    [ $failed -eq 0 ] || verdict=FAILED
    echo "test result: $verdict. $passed passed; $failed failed; 0 ignored"
    [ $failed -eq 0 ]
}

# until_true COMMAND...: waits for it, at most three minutes, which only an emulated processor with others beside it may need.
until_true() {
    local end=$((SECONDS + 180))
    until "$@"; do
        [ $SECONDS -lt $end ] || { echo "in vain: $*"; return 1; }
        sleep 0.1
    done
}

# The node of the laptop's key, if there is one.
key_node() {
    local found
    found=$(grep -lsx 'HID_NAME=cabled: the passkeys on your phone' /sys/class/hidraw/*/device/uevent) || return 1
    echo "/dev/$(basename "${found%/device/uevent}")"
}

# What bash's completion, from this file, offers for the words after it; the last one is begun.
bash_offers() {
    bash -euc '
        source "$1"
        shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        _cabled cabled "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf "%s\n" "${COMPREPLY[@]}"
    ' bash "$@"
}
