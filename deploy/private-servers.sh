# Sourced by private-rabbitmq.sh and private-postgres.sh: what private servers have in common.
# shellcheck shell=bash

readonly WAIT_SECONDS=120

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# Servers of root run as nobody: PostgreSQL refuses root, and nothing here needs it.
as_server=()
if [ "$(id -u)" = 0 ]; then
    as_server=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
fi

# Makes a directory and hands it to the account the servers run as.
own_directory() {
    mkdir -p "$1"
    if [ ${#as_server[@]} -gt 0 ]; then
        chown nobody:nogroup "$1"
    fi
}

# Hands a secret to the account the servers run as, and to nobody else.
own_secret() {
    chmod 600 "$1"
    if [ ${#as_server[@]} -gt 0 ]; then
        chown nobody:nogroup "$1"
    fi
}

# Makes a server's certificate in a directory, and ca.pem which vouches for it.
certificates() {
    local dir=$1
    command -v openssl >/dev/null || die "openssl is missing (apt-get install openssl)"
    (
        umask 077
        cd "$dir"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
            -subj /CN=private-ca -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
            -subj /CN=127.0.0.1 -keyout server.key -out server.csr
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 \
            -extfile <(echo subjectAltName=IP:127.0.0.1) -out server.pem
        chmod a+r ca.pem server.pem
    ) >"$dir/openssl.log" 2>&1 || die "no certificates: $(tail -n 1 "$dir/openssl.log")"
    own_secret "$dir/server.key"
}

# Prints $1 free ports below the range that outgoing connections take theirs from, so that a port
# stays ours while its server is down.
free_ports() {
    perl -MIO::Socket::INET -e '
        while (keys %open < $ARGV[0]) {
            my $port = 20000 + int rand 12000;
            my $socket = IO::Socket::INET->new(
                Listen => 1, LocalAddr => "127.0.0.1", LocalPort => $port) or next;
            $open{$port} = $socket;
        }
        print join(" ", keys %open), "\n"' "$1"
}

answers() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Waits until the command succeeds.
wait_until() {
    local deadline=$((SECONDS + WAIT_SECONDS))
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}

# Where PostgreSQL's programs are, of the newest one that is installed.
programs() {
    find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1 | xargs -r dirname
}
