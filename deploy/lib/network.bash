# network.bash - a whole network on one machine: the private mail lab, a coordinator, nodes, accounts.
# Sourced by deploy/demo and by the end-to-end tests. Everything lies below NET_DIR, every process is
# a child of its own session and ends with net_down.
# shellcheck shell=bash

NET_HOME=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
NET_LAB=$NET_HOME/tests/lab

NET_DIR=        # everything of this network; set by net_prepare
NET_BIN=        # where the three programs are
NET_RATE_MILLI=1000 # network milliseconds per real second
NET_START=      # network time at the first start, RFC 3339
NET_PORT=7400   # the coordinator's for nodes; the others follow it
NET_NODES=0     # nodes n1 … nN
NET_LAB_UP=0    # the lab was asked to start
NET_GUARDED=0   # process id of a step that runs in a session of its own (net_guard)
NET_BUILDER=0   # process id of the build, likewise (net_build_start)
NET_POLICY=     # the file that keeps packages from starting services, while it is ours
NET_LISTS_FRESH=0 # this script has fetched the lists of packages
declare -A NET_PID=()

# What is said goes to the script's own standard error, also from a trap that interrupts a step whose
# output goes to a log.
exec {NET_TALK}>&2

net_say() {
    printf '%s\n' "$*" >&"$NET_TALK"
}

# ---- steps that take their time ----

# Runs a command in a session of its own, so that Ctrl-C reaches this script alone, which then ends
# the step in good order (net_end_guarded).
net_guard() {
    local code=0
    setsid "$@" </dev/null {NET_TALK}>&- &
    NET_GUARDED=$!
    wait "$NET_GUARDED" || code=$?
    NET_GUARDED=0
    return "$code"
}

# net_end_session PID SIGNAL: ends such a step; SIGNAL "" waits for its own end, for what must not be
# torn in the middle.
net_end_session() {
    local pid=$1 i
    ((pid > 0)) || return 0
    if [[ -n $2 ]]; then
        kill -s "$2" -- "-$pid" 2>/dev/null || true
        for ((i = 0; i < 50; i++)); do
            kill -0 -- "-$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -s KILL -- "-$pid" 2>/dev/null || true
    fi
    wait "$pid" 2>/dev/null || true
}

net_end_guarded() {
    net_end_session "$NET_GUARDED" "$1"
    NET_GUARDED=0
}

# ---- packages ----

net_packages() {
    local groups=" $* "
    awk -v groups="$groups" '!/^#/ && NF == 2 && index(groups, " " $1 " ") { print $2 }' \
        "$NET_HOME/deploy/packages"
}

# Prints those of the groups' packages that are not installed.
net_missing_packages() {
    local package
    net_packages "$@" | while read -r package; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            echo "$package"
    done
}

# Lets packages start their services again, when it was us who forbade it.
net_lift_policy() {
    [[ -z $NET_POLICY ]] || rm -f -- "$NET_POLICY"
    NET_POLICY=
}

# Installs what is missing of the groups. The mail servers that Debian starts on installation are not
# wanted: the lab starts its own, so they are kept from starting now, and from starting at boot.
net_install() {
    local missing policy=/usr/sbin/policy-rc.d code=0 unit
    mapfile -t missing < <(net_missing_packages "$@")
    ((${#missing[@]} > 0)) || return 0
    if ((EUID != 0)); then
        net_say "missing packages, and only root can install them: ${missing[*]}"
        return 77
    fi
    net_say "installing ${#missing[@]} packages"
    if [[ ! -e $policy ]]; then
        NET_POLICY=$policy
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 0755 "$policy"
    fi
    NET_INSTALLING=1
    # shellcheck disable=SC2016
    net_guard bash -c '
        export DEBIAN_FRONTEND=noninteractive
        (($1)) || apt-get update -q || exit
        exec apt-get install -q -y --no-install-recommends "${@:2}"' \
        apt "$NET_LISTS_FRESH" "${missing[@]}" >"${NET_DIR:-/tmp}/apt.log" 2>&1 || code=$?
    NET_INSTALLING=0
    NET_LISTS_FRESH=1
    net_lift_policy
    if ((code != 0)); then
        tail -n 15 "${NET_DIR:-/tmp}/apt.log" >&2
        net_say "the packages could not be installed"
        return "$code"
    fi
    if [[ -d /run/systemd/system ]]; then
        for unit in postfix dovecot rspamd redis-server nsd prometheus prometheus-node-exporter; do
            [[ " ${missing[*]} " != *" ${unit%-server}"* ]] ||
                systemctl disable --quiet "$unit" 2>/dev/null || true
        done
    fi
}

# ---- building ----

# Begins to build the three programs into $1; other steps may go on meanwhile.
net_build_start() {
    NET_BIN=$1/bin
    # shellcheck disable=SC2016
    setsid bash -c 'cmake -S "$1" -B "$2" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
        -DFLZ_TESTS=OFF && exec ninja -C "$2" fluenzr-coordinator fluenzr-node fluenzrctl' \
        build "$NET_HOME" "$1" </dev/null >"$1.log" 2>&1 {NET_TALK}>&- &
    NET_BUILDER=$!
}

# Waits for the build's end.
net_build_wait() {
    local code=0
    wait "$NET_BUILDER" || code=$?
    NET_BUILDER=0
    ((code != 0)) || return 0
    tail -n 25 "${NET_BIN%/bin}.log" >&2
    net_say "the build failed"
    return 1
}

# ---- directories and ports ----

# $1: an existing empty directory that the mail servers' users may enter; short, since sockets lie in it.
net_prepare() {
    NET_DIR=$1
    mkdir -p "$NET_DIR"/{run,log,conf,csv,nodes}
    chmod 0711 "$NET_DIR"
}

net_port_is_free() {
    local hex
    printf -v hex %04X "$1"
    awk -v port="$hex" '$2 ~ ":" port "$" && $4 == "0A" { taken = 1 } END { exit taken }' \
        /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# Sets NET_PORT to the first of $1 free ports in a row, from NET_PORT on.
net_choose_ports() {
    local at i
    for ((at = NET_PORT; at < 13900; at += 20)); do
        for ((i = 0; i < $1; i++)); do
            net_port_is_free $((at + i)) || continue 2
        done
        NET_PORT=$at
        return 0
    done
    net_say "no $1 free ports in a row between $NET_PORT and 13900"
    return 1
}

# ---- processes ----

# net_spawn NAME COMMAND...: a daemon of its own session, its log in log/NAME.log. One of that name that
# still runs is ended first, or nobody would know it any more.
net_spawn() {
    local name=$1
    shift
    net_stop "$name" KILL
    setsid "$@" </dev/null >>"$NET_DIR/log/$name.log" 2>&1 {NET_TALK}>&- &
    NET_PID[$name]=$!
}

net_alive() {
    [[ -n ${NET_PID[$1]:-} ]] && kill -0 "${NET_PID[$1]}" 2>/dev/null
}

# net_stop NAME [SIGNAL]: ends it and waits; after ten seconds it is killed.
net_stop() {
    local name=$1 signal=${2:-TERM} pid=${NET_PID[$1]:-} i
    [[ -n $pid ]] || return 0
    unset "NET_PID[$name]"
    kill -s "$signal" "$pid" 2>/dev/null || true
    for ((i = 0; i < 100; i++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -s KILL -- "-$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

# Names of daemons that should run and do not.
net_dead() {
    local name
    for name in "${!NET_PID[@]}"; do
        net_alive "$name" || echo "$name"
    done
}

# ---- the lab ----

net_lab_up() {
    NET_LAB_UP=1
    net_guard "$NET_LAB/up" --dir "$NET_DIR/lab" --domains "$1" --accounts "$2" \
        2>"$NET_DIR/log/lab-up.log" || {
        cat "$NET_DIR/log/lab-up.log" >&2
        return 1
    }
    # shellcheck disable=SC1091
    source "$NET_DIR/lab/lab.env"
}

# ---- coordinator and nodes ----
# What starts a daemon takes the seconds it may need as its last argument.

net_init() {
    net_choose_ports $((3 + NET_NODES))
    "$NET_BIN/fluenzrctl" -q init --dir "$NET_DIR/net" --name "$1" --contact "$2" \
        --nodes-endpoint "tcp://127.0.0.1:$NET_PORT" \
        --enrol-endpoint "tcp://127.0.0.1:$((NET_PORT + 1))" \
        --admin-endpoint "ipc://$NET_DIR/run/coordinator.sock"
    cat >"$NET_DIR/conf/coordinator.yaml" <<END
state_dir: $NET_DIR/coordinator
identity_dir: $NET_DIR/net/coordinator
content_dir: $NET_HOME/deploy/content
listen:
  nodes: tcp://127.0.0.1:$NET_PORT
  enrol: tcp://127.0.0.1:$((NET_PORT + 1))
  admin: ipc://$NET_DIR/run/coordinator.sock
  http: 127.0.0.1:$((NET_PORT + 2))
bus:
  heartbeat: 500ms
lab:
  clock_rate_milli: $NET_RATE_MILLI
  start: "$NET_START"
allow_unlocked_memory: true
END
}

net_ctl() {
    "$NET_BIN/fluenzrctl" -i "$NET_DIR/net/admin" "$@"
}

# A counter or any other value of a JSON document: net_get FILTER COMMAND...
net_get() {
    local filter=$1
    shift
    net_ctl -o json "$@" | jq -r "$filter"
}

# Waits until a daemon's /readyz answers 200: net_await NAME PORT SECONDS
net_await() {
    local i
    for ((i = 0; i < $3 * 10; i++)); do
        if [[ $(curl -q -s -o /dev/null -w '%{http_code}' --max-time 2 \
            "http://127.0.0.1:$2/readyz") == 200 ]] && net_alive "$1"; then
            return 0
        fi
        net_alive "$1" || break
        sleep 0.1
    done
    net_say "$1 did not become ready; the end of $NET_DIR/log/$1.log:"
    tail -n 15 "$NET_DIR/log/$1.log" >&2
    return 1
}

net_coordinator_start() {
    net_spawn coordinator "$NET_BIN/fluenzr-coordinator" --config "$NET_DIR/conf/coordinator.yaml"
    net_await coordinator $((NET_PORT + 2)) "$1"
}

# net_node_make I: invites node nI and writes its settings.
net_node_make() {
    local i=$1 dir=$NET_DIR/nodes/n$1
    net_ctl -q node invite "n$i" --out "$NET_DIR/nodes/n$i.token"
    cat >"$NET_DIR/conf/n$i.yaml" <<END
state_dir: $dir
join_token_file: $NET_DIR/nodes/n$i.token
content_dir: $NET_HOME/deploy/content
providers_file: $NET_HOME/deploy/providers.yaml
ca_file: $LAB_CA
ehlo_name: localhost
admin:
  listen: ipc://$NET_DIR/run/n$i.sock
http:
  listen: 127.0.0.1:$((NET_PORT + 2 + i))
dns:
  servers: 127.0.0.1:$LAB_DNS_PORT
vault:
  source: file
  name: $NET_DIR/nodes/n$i.vault
bus:
  heartbeat: 500ms
allow_unlocked_memory: true
END
}

net_node_start() {
    net_spawn "n$1" "$NET_BIN/fluenzr-node" --config "$NET_DIR/conf/n$1.yaml"
    net_await "n$1" $((NET_PORT + 2 + $1)) "$2"
}

# Deals the lab's accounts out: all of a domain to one node, domains in turn; $1 turns the wheel.
net_split_accounts() {
    (
        umask 077
        awk -F, -v nodes="$NET_NODES" -v turn="$1" -v dir="$NET_DIR/csv" '
            FNR == 1 {
                for (i = 1; i <= nodes; i++)
                    print > (dir "/n" i ".csv")
                next
            }
            {
                domain = $1
                sub(/.*@/, "", domain)
                if (!(domain in node))
                    node[domain] = 1 + (turn + seen++) % nodes
                print > (dir "/n" node[domain] ".csv")
            }' "$NET_DIR/lab/accounts.csv"
    )
}

# net_import I: the accounts of node nI, with their owners' consent.
net_import() {
    local verdicts=$NET_DIR/log/import-n$1.json code=0
    net_ctl -o json account import "$NET_DIR/csv/n$1.csv" \
        --node-endpoint "ipc://$NET_DIR/run/n$1.sock" --consent-by 'the lab' >"$verdicts" || code=$?
    rm -f "$NET_DIR/csv/n$1.csv"
    if ((code != 0)); then
        net_say "node n$1 did not take all its accounts:"
        jq -r '.rows[]? | select(.verdict == "refused") | "  \(.address): \(.text)"' "$verdicts" |
            head -n 10 >&2
    fi
    return "$code"
}

# ---- the ledger against the mailboxes ----

# Every message of the coordinator's ledger: exchange, turn, from, to, what became of it.
net_ledger() {
    local address
    net_get '.items[].address' account ls --all | while read -r address; do
        net_ctl -o json exchange ls --all --limit 2000 --account "$address" | jq -r '
            .items[] | . as $x | .messages | to_entries[] |
            [$x.id, .key, (if .key % 2 == 0 then $x.from else $x.to end).address,
             (if .key % 2 == 0 then $x.to else $x.from end).address, .value] | @tsv'
    done | sort -u
}

# Compares. 0 and one line when they agree; else the differences, and 1.
net_check_ledger() {
    local ledger=$NET_DIR/ledger.tsv mailboxes=$NET_DIR/mailboxes.tsv id
    id=$(net_get .item.id status || true)
    [[ -n $id ]] || { net_say "the coordinator does not answer"; return 1; }
    net_ledger >"$ledger" || return 1
    "$NET_LAB/dump" --dir "$NET_DIR/lab" >"$mailboxes" || return 1
    awk -F'\t' -v network="$id" -f "$NET_HOME/deploy/lib/ledger.awk" "$ledger" "$mailboxes"
}

# ---- the end ----

# Ends all that was started and, with "purge", removes all that was written.
net_down() {
    local name
    net_end_session "$NET_BUILDER" TERM
    NET_BUILDER=0
    if ((${NET_INSTALLING:-0})); then
        net_say "waiting for the package manager to end"
        net_end_guarded ''
    else
        net_end_guarded TERM
    fi
    net_lift_policy
    for name in "${!NET_PID[@]}"; do
        [[ $name == coordinator ]] || kill "${NET_PID[$name]}" 2>/dev/null || true
    done
    for name in "${!NET_PID[@]}"; do
        [[ $name == coordinator ]] || net_stop "$name"
    done
    net_stop coordinator
    if ((NET_LAB_UP)); then
        "$NET_LAB/down" --dir "$NET_DIR/lab" </dev/null || true
        NET_LAB_UP=0
    fi
    if [[ ${1:-} == purge && -n $NET_DIR ]]; then
        rm -rf -- "$NET_DIR"
    fi
}
