# lib.bash - shared by the end-to-end scenarios: a small network of real daemons on the private mail
# lab, and claims about it, told as TAP lines ("ok 1 - …", "not ok 2 - …").
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR source=../../deploy/lib/network.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/../../deploy/lib/network.bash"

CLAIMS=0
BROKEN=0
SEED=1
KEEP=0

usage() {
    echo "usage: ${0##*/} [--bin DIR] [--seed N] [--keep]"
    echo "  --bin DIR  where the three programs are (default: build/asan/bin, else build/release/bin)"
    echo "  --keep     leave the files there at the end, and say where"
}

read_options() {
    local bin
    while (($# > 0)); do
        case $1 in
        --bin) NET_BIN=$(realpath -- "${2:-}") && shift ;;
        --seed) SEED=$((10#${2:-})) && shift ;;
        --keep) KEEP=1 ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 64 ;;
        esac
        shift
    done
    for bin in "$NET_HOME"/build/{asan,release}/bin; do
        [[ -n $NET_BIN || ! -x $bin/fluenzr-node ]] || NET_BIN=$bin
    done
    [[ -x $NET_BIN/fluenzr-node ]] || { usage >&2 && exit 64; }
}

# claim TEXT COMMAND...: true when the command succeeds; its output is shown when it does not.
claim() {
    local text=$1 out
    shift
    CLAIMS=$((CLAIMS + 1))
    if out=$("$@" 2>&1); then
        echo "ok $CLAIMS - $text"
        return 0
    fi
    echo "not ok $CLAIMS - $text"
    sed 's/^/# /' <<<"$out" | tail -n 20
    BROKEN=$((BROKEN + 1))
}

# refuse TEXT EXIT PATTERN COMMAND...: true when the command fails with that code and says PATTERN.
refuse() {
    local text=$1 want=$2 pattern=$3
    shift 3
    claim "$text" refuses "$want" "$pattern" "$@"
}

refuses() {
    local want=$1 pattern=$2 code=0 out
    shift 2
    out=$("$@" 2>&1) || code=$?
    printf '%s\nexit %d, wanted %d and /%s/\n' "$out" "$code" "$want" "$pattern"
    [[ $code == "$want" ]] && grep -Eq -- "$pattern" <<<"$out"
}

# shellcheck disable=SC2317
on_exit() {
    local code=$?
    trap - EXIT
    trap '' INT TERM HUP
    if ((KEEP)); then
        net_down
        net_say "everything is in $NET_DIR"
    else
        if ((code != 0 || BROKEN)); then
            show_logs
        fi
        net_down purge
    fi
    exit "$code"
}

show_logs() {
    local file
    for file in "$NET_DIR"/log/*.log; do
        [[ -s $file ]] || continue
        echo "# ---- ${file##*/}"
        grep -E 'level=(error|warning)|runtime error|ERROR: |SUMMARY|^ +#[0-9]+ ' "$file" | tail -n 25 | sed 's/^/# /' ||
            true # nothing to show; what follows must end all
    done
}

begin() {
    local dir
    dir=$(mktemp -d /tmp/flz-e2e.XXXXXX)
    trap on_exit EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    net_prepare "$dir"
}

finish() {
    echo "1..$CLAIMS"
    ((BROKEN == 0)) || exit 1
    exit 0
}

# start ACCOUNTS DOMAINS NODES DAY_SECONDS: lab, coordinator, nodes and accounts, ready to send. A small
# pool needs generous rules: languages may mix, a pair may meet again the next day, and all of a
# domain begin at once.
start() {
    local i
    NET_NODES=$3
    NET_PORT=$((8000 + RANDOM % 250 * 20)) # several of these may run at once
    NET_START=2026-03-01T18:30:00Z
    NET_RATE_MILLI=$((86400000 / $4))
    net_lab_up "$2" "$1"
    net_init e2e stop@control.test
    net_coordinator_start 30
    net_ctl -q policy set cooldown_days 1
    net_ctl -q policy set cross_language 1
    net_ctl -q policy set domain_starts 100
    net_ctl -q policy set health_acts 0 # the lab's filter begins with half of all in Junk
    net_split_accounts "$SEED"
    for ((i = 1; i <= NET_NODES; i++)); do
        net_node_make "$i"
        net_node_start "$i" 30
    done
    for ((i = 1; i <= NET_NODES; i++)); do
        net_import "$i"
    done
    net_ctl -q --timeout 60s wait --for ready
}

# Network time as seconds since 1970; 0 when nobody answers.
network_time() {
    local time
    time=$(net_get .item.networkTime status 2>/dev/null || true)
    [[ -n $time && $time != null ]] && date -ud "$time" +%s || echo 0
}

# Waits until network time has passed $1 (RFC 3339), at most $2 real seconds.
wait_until() {
    local want end=$((EPOCHSECONDS + $2))
    want=$(date -ud "$1" +%s)
    while (($(network_time) < want)); do
        ((EPOCHSECONDS < end)) || return 1
        sleep 0.3
    done
}

# The counter $1 of all days.
counted() {
    net_get "[.items[].$1] | add" stats --from 2026-03-01 --to 2026-03-14
}

# No message is on its way any more; at most $1 real seconds.
rest() {
    local end=$((EPOCHSECONDS + $1)) open=1
    while ((EPOCHSECONDS < end)); do
        open=$(net_ctl -o json exchange ls --limit 2000 2>/dev/null | jq '[.items[].messages[] |
            select(. == "sent" or . == "open" or . == "ambiguous")] | length' || echo 1)
        [[ $open != 0 ]] || return 0
        sleep 0.5
    done
    echo "$open messages are still on their way"
    net_ctl -o json exchange ls --limit 2000 | jq -c '.items[] |
        select(any(.messages[]; . == "sent" or . == "open" or . == "ambiguous"))' | head -n 3
    return 1
}

more_than() {
    echo "$1, wanted more than $2"
    (($1 > $2))
}
