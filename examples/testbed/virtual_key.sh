#!/bin/sh
# A security key on this machine, whose passkeys are on a phone of the test bed, while a program runs:
#
#   cabled testbed run -- examples/testbed/virtual_key.sh PROGRAM [ARGUMENT...]
#
# For Firefox, ssh, PAM and whatever else knows security keys and no codes. Each code that the key would show
# goes to the phone $PHONE ("phone" otherwise), whose person follows $SCRIPT (approves otherwise). The program
# finds the key's node in $CABLED_KEY. Needs the right to write /dev/uhid, and curl. See docs/testbed.md.

set -eu
: "${CABLED:=cabled}" "${PHONE:=phone}"
[ -n "${SCRIPT:-}" ] || SCRIPT="{}"
NAME="cabled: the passkeys on your phone"
[ $# -gt 0 ] || { echo "usage: cabled testbed run -- $0 PROGRAM [ARGUMENT...]" >&2; exit 2; }
: "${CABLED_TESTBED_URL:?run it by cabled testbed run}"

# A daemon of its own, with receipts and phones of its own.
folder=$(mktemp -d)
export CABLED_DAEMON_SOCKET="$folder/laptop.sock"
export XDG_STATE_HOME="$folder/state"
daemon='' watch=''
# shellcheck disable=SC2086
trap 'kill $watch $daemon 2>/dev/null || :; rm -rf "$folder"' EXIT
trap 'exit 143' INT TERM

# until_it_says WORDS FILE PROCESS
until_it_says() {
    until grep -q "$1" "$2"; do
        kill -0 "$3" 2>/dev/null || { cat "$2" >&2; exit 1; }
        sleep 0.1
    done
}

submit() {
    # The token is not among the arguments, which everybody on this machine can read.
    printf 'header = "Authorization: Bearer %s"\n' "$CABLED_TESTBED_TOKEN" |
        curl -sS --fail-with-body --noproxy '*' -o "$folder/answer" -K - -H 'Content-Type: application/json' \
            -d "{\"phone\":\"$PHONE\",\"qr\":\"$1\",\"script\":$SCRIPT}" "$CABLED_TESTBED_URL/v1/ceremonies" ||
        { echo "the phone did not take the code:" && cat "$folder/answer"; } >&2
}

"$CABLED" daemon --uhid >"$folder/daemon" 2>&1 &
daemon=$!
until_it_says 'service listens' "$folder/daemon" $daemon
mkfifo "$folder/told"
"$CABLED" watch --qr url 2>"$folder/told" >/dev/null &
watch=$!
: >"$folder/watch"
while read -r line; do
    echo "$line" >>"$folder/watch"
    case $line in FIDO:*) submit "$line" ;; esac
done <"$folder/told" &
until_it_says '^Watching' "$folder/watch" $watch

# The kernel makes the node after the device, and udev says who may use it.
CABLED_KEY=''
until [ -n "$CABLED_KEY" ] && [ -w "$CABLED_KEY" ]; do
    sleep 0.1
    for about in /sys/class/hidraw/*/device/uevent; do
        ! grep -qxF "HID_NAME=$NAME" "$about" 2>/dev/null || CABLED_KEY=/dev/$(basename "${about%/device/uevent}")
    done
done
export CABLED_KEY
"$@"
