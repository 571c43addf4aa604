#!/usr/bin/env bash
# Runs a command beside a RabbitMQ and a PostgreSQL of its own, and ends both with it:
#
#   deploy/with-services.sh cargo test --workspace
#
# The command finds them by
#   CONCORD_TEST_AMQP         the broker's AMQP address, of a user with every right
#   CONCORD_TEST_AMQPS        its AMQPS address, vouched for by
#   CONCORD_TEST_AMQPS_CA     this PEM file
#   CONCORD_TEST_POSTGRES     the address of PostgreSQL's superuser, vouched for by
#   CONCORD_TEST_POSTGRES_CA  this PEM file
#   CONCORD_TEST_SERVICES     the directory for private-rabbitmq.sh (DIR/rabbitmq) and
#                             private-postgres.sh (DIR/postgres); the passwords of the broker's other
#                             users are in DIR/rabbitmq/users
# Services of the system are neither used nor touched.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || {
    echo "usage: $0 COMMAND..." >&2
    exit 2
}

"$here/install-services.sh"

# Each test has a prefix of its own.
export ANY_PREFIX=1
export BROKER_USERS="admin api status arbiter submitter party-2 party-3 party-4 party-5 party-6"

dir=$(mktemp -d "${TMPDIR:-/tmp}/concord-services.XXXXXX")
# The servers' account must be able to pass.
chmod 755 "$dir"
started=()
finish() {
    local server
    for server in "${started[@]}"; do
        "$here/private-$server.sh" stop "$dir/$server" || true
    done
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

for server in rabbitmq postgres; do
    started+=("$server")
    "$here/private-$server.sh" start "$dir/$server"
done

CONCORD_TEST_AMQP=$("$here/private-rabbitmq.sh" url "$dir/rabbitmq")
CONCORD_TEST_AMQPS=$("$here/private-rabbitmq.sh" urls "$dir/rabbitmq")
CONCORD_TEST_AMQPS_CA=$dir/rabbitmq/ca.pem
CONCORD_TEST_POSTGRES=$("$here/private-postgres.sh" url "$dir/postgres")
CONCORD_TEST_POSTGRES_CA=$dir/postgres/ca.pem
CONCORD_TEST_SERVICES=$dir
export CONCORD_TEST_AMQP CONCORD_TEST_AMQPS CONCORD_TEST_AMQPS_CA CONCORD_TEST_POSTGRES \
    CONCORD_TEST_POSTGRES_CA CONCORD_TEST_SERVICES

# In the background and waited for, so that a signal ends the servers at once.
"$@" &
wait $!
