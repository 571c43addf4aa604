#!/usr/bin/env bash
# One PostgreSQL of our own in one directory, beside any other on the machine. It does not wait for
# the disk, as tests want it, unless DURABLE=1 when it is made.
#
#   private-postgres.sh start DIR    makes the directory, or starts what is in it; waits until ready
#   private-postgres.sh stop DIR     ends it in order
#   private-postgres.sh kill DIR     ends it at once
#   private-postgres.sh wipe DIR     forgets all databases; only when it does not run
#   private-postgres.sh pause DIR    nothing answers until resume
#   private-postgres.sh resume DIR
#   private-postgres.sh url DIR      prints the superuser's address, a secret; DIR/ca.pem vouches for
#                                    the server. The password is random, and in DIR/password, which
#                                    only whoever made it can read
set -euo pipefail
# shellcheck source=private-servers.sh
. "$(dirname "$0")/private-servers.sh"

make() {
    local dir=$1 bin=$2
    own_directory "$dir"
    [ -e "$dir/server.pem" ] || certificates "$dir"
    [ -s "$dir/password" ] || (umask 077 && openssl rand -hex 24 >"$dir/password")
    # Made anew by a wipe, and read by the server's account.
    cp "$dir/password" "$dir/password.initdb"
    own_secret "$dir/password.initdb"
    "${as_server[@]}" "$bin/initdb" -D "$dir/data" -U postgres -A scram-sha-256 \
        --pwfile="$dir/password.initdb" -E UTF8 --locale=C.UTF-8 --no-sync \
        >"$dir/initdb.log" 2>&1 || die "initdb failed: $(tail -n 1 "$dir/initdb.log")"
    rm "$dir/password.initdb"
    [ -e "$dir/port" ] || free_ports 1 >"$dir/port"
    cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $(cat "$dir/port")
unix_socket_directories = ''
max_connections = 200
ssl = on
ssl_cert_file = '$dir/server.pem'
ssl_key_file = '$dir/server.key'
CONF
    [ "${DURABLE:-0}" = 1 ] || cat >>"$dir/data/postgresql.conf" <<CONF
fsync = off
synchronous_commit = off
full_page_writes = off
CONF
}

start() {
    local dir=$1 bin
    bin=$(programs)
    [ -n "$bin" ] || die "no PostgreSQL in /usr/lib/postgresql (apt-get install postgresql)"
    [ -e "$dir/data/postgresql.conf" ] || make "$dir" "$bin"
    cd "$dir"
    "${as_server[@]}" "$bin/pg_ctl" -D "$dir/data" -l "$dir/data/out.log" -w -t "$WAIT_SECONDS" start \
        >"$dir/pg_ctl.log" 2>&1 || die "it did not start: $(tail -n 3 "$dir/data/out.log")"
    head -n 1 "$dir/data/postmaster.pid" >"$dir/pid"
}

# Its backends are groups of their own.
processes() {
    local pid
    pid=$(cat "$1/pid")
    echo "$pid" && cat "/proc/$pid/task/$pid/children" 2>/dev/null
}

# Whether a process is one of the server in this directory: after a crash of the machine its
# number may be anybody's.
works() {
    [ "$(readlink "/proc/$2/cwd" 2>/dev/null)" = "$1/data" ]
}

# Whether none of these processes is left. The server does not start beside a dead one that nobody
# has missed yet.
none_left() {
    local dir=$1 pid
    shift
    for pid in "$@"; do
        ! works "$dir" "$pid" || return 1
        ! grep -q '^State:.*zombie' "/proc/$pid/status" 2>/dev/null || return 1
    done
}

ended() {
    local pid
    pid=$(cat "$1/pid" 2>/dev/null) || return 0
    none_left "$1" "$pid"
}

signal() {
    works "$2" "$(cat "$2/pid" 2>/dev/null)" || return 0
    # shellcheck disable=SC2046
    kill "-$1" $(processes "$2")
}

[ $# = 2 ] || die "usage: start|stop|kill|wipe|pause|resume|url DIR"
dir=$(realpath -m "$2")
case $1 in
start) start "$dir" ;;
stop)
    signal CONT "$dir" 2>/dev/null || true
    # INT is a fast shutdown: sessions are ended, not waited for.
    pid=$(cat "$dir/pid" 2>/dev/null || echo none)
    ! works "$dir" "$pid" || kill -INT "$pid"
    wait_until ended "$dir" || signal KILL "$dir"
    ;;
kill)
    all=$(processes "$dir")
    signal KILL "$dir"
    # shellcheck disable=SC2086
    wait_until none_left "$dir" $all
    ;;
wipe)
    ended "$dir" || die "it runs"
    rm -rf "$dir/data"
    ;;
pause) signal STOP "$dir" ;;
resume) signal CONT "$dir" ;;
url) echo "postgres://postgres:$(cat "$dir/password")@127.0.0.1:$(cat "$dir/port")/postgres" ;;
*) die "no command $1" ;;
esac
