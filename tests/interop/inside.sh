#!/bin/sh
# inside.sh COMMAND...: runs a command where the names of the public tunnel services are this machine.
#
# Namespaces of its own: an empty network with loopback, an own hosts file, and the right to listen on
# port 443, which is where laptops look for those services. Nothing that runs inside can reach, or be
# reached from, anything outside, and nothing stays when the command has ended.
set -eu
if [ "${INSIDE:-}" != yes ]; then
    INSIDE=yes exec unshare --user --map-root-user --net --mount --pid --fork --kill-child "$0" "$@"
fi
ip link set lo up
hosts=$(mktemp)
cat >"$hosts" <<'HOSTS'
127.0.0.1 localhost cable.ua5v.com
127.0.0.2 cable.auth.com
127.0.0.3 cable.4a6bwmj6hiyyd.net
HOSTS
mount --bind "$hosts" /etc/hosts
rm "$hosts"
unset INSIDE
exec "$@"
