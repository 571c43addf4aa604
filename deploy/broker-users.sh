#!/usr/bin/env bash
# The users of a RabbitMQ: one for each party and each kind of process, with rights to its own queues
# alone. USER is one of
#   party-2 ..    a hospital's worker (`concord party` of party 2)
#   api, status, arbiter    the platform's processes
#   submitter, submitter-NAME    whoever sends batches by queue (`concord submit`)
#   admin         every right, for operators and tests
#
#   broker-users.sh passwords DIR USER...    makes DIR/USER (mode 0600) where there is none
#   broker-users.sh commands DIR USER...     prints what to run where rabbitmqctl reaches the broker
#   broker-users.sh definitions DIR USER...  prints the same as JSON, for its `load_definitions`
#
# For instance: deploy/broker-users.sh passwords secrets/broker api status arbiter party-2 party-3
#               deploy/broker-users.sh commands secrets/broker api status arbiter party-2 party-3 | sh
#
# VHOST is the virtual host (/), PREFIX the federation's `queue_prefix`; ANY_PREFIX=1 gives rights to
# the queues of every prefix, which is for tests.
set -euo pipefail

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

readonly VHOST=${VHOST:-/}
[[ ${PREFIX:-} =~ ^[A-Za-z0-9._-]*$ ]] || die "PREFIX: letters, digits and . _ - only"
# `[.]` instead of `\.`: the same in a shell, in JSON and in the broker.
prefix=$(sed 's/[.]/[.]/g' <<<"${PREFIX:-}")
[ "${ANY_PREFIX:-0}" = 0 ] || prefix='(.*[.])?'

# The queues that a user declares and reads. Whoever may declare a queue may also delete it.
queues() {
    case $1 in
    party-[1-9]*)
        [[ ${1#party-} =~ ^[0-9]+$ ]] || die "no user $1"
        echo "(party[.]${1#party-}[.](guest|host|infer|compute)|session[.]${1#party-}[.].*)"
        ;;
    arbiter) echo '(arbiter|session[.]1[.].*)' ;;
    api) echo 'submissions' ;;
    status) echo '(events|beats|dead)' ;;
    submitter | submitter-*) echo 'replies[.].*' ;;
    *) die "no user $1" ;;
    esac
}

# Prints the patterns of what a user may configure and read, and of what it may write. Everybody
# sends by the default exchange, which knows no rights to single queues; a broker binds nothing to
# it, and lets nobody send in another's name.
rights() {
    case $1 in
    admin) echo '.* .*' ;;
    # The broker itself names the queues of programs that are not ours.
    submitter*) echo "^($prefix$(queues "$1")|amq[.]gen.*)$ ^amq[.]default$" ;;
    *) echo "^$prefix$(queues "$1")$ ^amq[.]default$" ;;
    esac
}

password() {
    cat "$dir/$1" 2>/dev/null || die "no password $dir/$1: make it by \`passwords\`"
}

unhexed() {
    printf '%b' "$(sed 's/../\\x&/g' <<<"$1")"
}

# As RabbitMQ keeps a password: a salt and the SHA-256 of both.
hash() {
    local salt digest
    salt=$(openssl rand -hex 4)
    digest=$({ unhexed "$salt" && printf %s "$1"; } | openssl dgst -sha256 -r)
    unhexed "$salt${digest%% *}" | base64 -w 0
}

passwords() {
    local user
    (umask 077 && mkdir -p "$dir")
    for user in "$@"; do
        rights "$user" >/dev/null
        [ -s "$dir/$user" ] || (umask 077 && openssl rand -hex 24 >"$dir/$user")
    done
}

commands() {
    local user own write
    echo "set -e"
    for user in "$@"; do
        read -r own write < <(rights "$user")
        password "$user" >/dev/null
        # By standard input: arguments can be seen by everybody on the machine.
        echo "rabbitmqctl add_user $user <'$dir/$user' || rabbitmqctl change_password $user <'$dir/$user'"
        echo "rabbitmqctl set_permissions -p '$VHOST' $user '$own' '$write' '$own'"
    done
    echo "rabbitmqctl delete_user guest || true"
}

definitions() {
    local user own write users=() permissions=()
    for user in "$@"; do
        read -r own write < <(rights "$user")
        users+=("{\"name\": \"$user\", \"password_hash\": \"$(hash "$(password "$user")")\",
 \"hashing_algorithm\": \"rabbit_password_hashing_sha256\", \"tags\": \"\"}")
        permissions+=("{\"user\": \"$user\", \"vhost\": \"$VHOST\",
 \"configure\": \"$own\", \"write\": \"$write\", \"read\": \"$own\"}")
    done
    local IFS=,
    echo "{\"vhosts\": [{\"name\": \"$VHOST\"}], \"users\": [${users[*]}],"
    echo " \"permissions\": [${permissions[*]}]}"
}

[ $# -ge 3 ] || die "usage: passwords|commands|definitions DIR USER..."
command -v openssl >/dev/null || die "openssl is missing (apt-get install openssl)"
dir=$(realpath -m "$2")
case $1 in
passwords | commands | definitions) "$1" "${@:3}" ;;
*) die "no command $1; there are passwords, commands and definitions" ;;
esac
