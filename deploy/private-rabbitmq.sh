#!/usr/bin/env bash
# One RabbitMQ of our own in one directory, beside any other on the machine.
#
#   private-rabbitmq.sh start DIR    makes the directory, or starts what is in it; waits until ready
#   private-rabbitmq.sh stop DIR     ends it in order, and its epmd
#   private-rabbitmq.sh kill DIR     ends it at once
#   private-rabbitmq.sh wipe DIR     forgets all queues and messages; only when it does not run
#   private-rabbitmq.sh pause DIR    the node answers nothing until resume
#   private-rabbitmq.sh resume DIR
#   private-rabbitmq.sh url DIR USER     prints the AMQP address of a user; `urls DIR USER` prints the
#                                    AMQPS one, which DIR/ca.pem vouches for. A secret
#
# Its users are $BROKER_USERS when it is made (see broker-users.sh), with random passwords in
# DIR/users, which only whoever made it can read; there is no guest.
# The node keeps its name and its ports over all of these.
set -euo pipefail
# shellcheck source=private-servers.sh
. "$(dirname "$0")/private-servers.sh"

readonly USERS=${BROKER_USERS:-admin api status arbiter submitter party-2 party-3 party-4}
here=$(cd "$(dirname "$0")" && pwd)

# Not the one on PATH: that is a wrapper which insists on the system's directories.
readonly SERVER=/usr/lib/rabbitmq/bin/rabbitmq-server

make() {
    local dir=$1
    own_directory "$dir"
    certificates "$dir"
    # shellcheck disable=SC2086
    "$here/broker-users.sh" passwords "$dir/users" $USERS
    read -r port port_tls port_distribution port_epmd < <(free_ports 4)
    cat >"$dir/rabbitmq.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$port
listeners.ssl.1 = 127.0.0.1:$port_tls
ssl_options.cacertfile = $dir/ca.pem
ssl_options.certfile = $dir/server.pem
ssl_options.keyfile = $dir/server.key
load_definitions = $dir/definitions.json
log.file.level = warning
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
CONF
    echo '[].' >"$dir/enabled_plugins"
    own_directory "$dir/home"
    own_directory "$dir/mnesia"
    own_directory "$dir/log"
    echo "$port $port_tls $port_distribution $port_epmd" >"$dir/ports"
}

# At each start, as a newer Concord may have other queues.
grant() {
    local dir=$1
    (
        umask 077
        cd "$dir/users"
        "$here/broker-users.sh" definitions . * >"$dir/definitions.json"
    )
    own_secret "$dir/definitions.json"
}

ports() {
    read -r port port_tls port_distribution port_epmd <"$1/ports" || die "nothing is in $1"
}

# The node, its start script and their children are one process group.
signal() {
    local group pid
    group=$(cat "$2/group" 2>/dev/null) || return 1
    # After a crash of the machine the number may be anybody's: one of the group must work here.
    # Read by cat, as awk stops at the first process that ended meanwhile.
    for pid in $(cat /proc/[0-9]*/stat 2>/dev/null | awk -v group="$group" \
        '{ pid = $1; sub(/.*\) /, ""); if ($3 == group) print pid }'); do
        case $(readlink "/proc/$pid/cwd" 2>/dev/null) in
        "$2" | "$2"/*)
            kill "-$1" -- "-$group" 2>/dev/null
            return
            ;;
        esac
    done
    return 1
}

ended() {
    ! signal 0 "$1"
}

up_or_ended() {
    ended "$1" || answers "$port"
}

start() {
    local dir=$1
    [ -x "$SERVER" ] || die "$SERVER is missing (apt-get install rabbitmq-server)"
    [ -e "$dir/ports" ] || make "$dir"
    ports "$dir"
    [ ! -e "$dir/group" ] || ended "$dir" || die "it runs already"
    grant "$dir"
    # The server's cookie, its rights and its working directory are all the server's own.
    cd "$dir"
    setsid "${as_server[@]}" env HOME="$dir/home" LC_ALL=C.UTF-8 RABBITMQ_CONF_ENV_FILE=/dev/null \
        RABBITMQ_CONFIG_FILE="$dir/rabbitmq.conf" \
        RABBITMQ_ENABLED_PLUGINS_FILE="$dir/enabled_plugins" \
        RABBITMQ_MNESIA_BASE="$dir/mnesia" RABBITMQ_LOG_BASE="$dir/log" \
        RABBITMQ_PID_FILE="$dir/home/pid" \
        RABBITMQ_NODENAME="private$port@localhost" RABBITMQ_NODE_PORT="$port" \
        RABBITMQ_DIST_PORT="$port_distribution" \
        ERL_EPMD_PORT="$port_epmd" ERL_EPMD_ADDRESS=127.0.0.1 \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none" \
        "$SERVER" >"$dir/out.log" 2>&1 </dev/null &
    echo $! >"$dir/group"
    # Until setsid has run there is no such group.
    wait_until signal 0 "$dir" || die "the node did not start: see $dir/out.log"
    wait_until up_or_ended "$dir" || die "the node was not ready in time: see $dir/out.log"
    ! ended "$dir" || die "the node ended at once: $(tail -n 3 "$dir/out.log")"
}

stop() {
    ports "$1"
    signal CONT "$1" || true
    signal TERM "$1" || true
    wait_until ended "$1" || signal KILL "$1" || true
    # epmd outlives its node. It is asked by our own port, so it is ours.
    ERL_EPMD_PORT=$port_epmd epmd -kill >/dev/null 2>&1 || true
}

# Prints an address of a user: scheme, port.
address() {
    local password
    password=$(cat "$dir/users/$user") || die "no user $user"
    echo "$1://$user:$password@127.0.0.1:$2/%2f"
}

[ $# = 2 ] || [ $# = 3 ] || die "usage: start|stop|kill|wipe|pause|resume DIR; url|urls DIR USER"
user=${3:-admin}
dir=$(realpath -m "$2")
case $1 in
start) start "$dir" ;;
stop) stop "$dir" ;;
kill) signal KILL "$dir" && wait_until ended "$dir" ;;
wipe)
    ended "$dir" || die "it runs"
    rm -rf "$dir/mnesia"
    own_directory "$dir/mnesia"
    ;;
pause) signal STOP "$dir" ;;
resume) signal CONT "$dir" ;;
url) ports "$dir" && address amqp "$port" ;;
urls) ports "$dir" && address amqps "$port_tls" ;;
*) die "no command $1" ;;
esac
