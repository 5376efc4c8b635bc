# shellcheck shell=bash
# lib.bash - what the lab's programs share. Sourced, never run.
# shellcheck disable=SC2034

set -euo pipefail
export LC_ALL=C.UTF-8
umask 022

LAB_HOME=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly LAB_HOME
readonly MAIL_UID=5000
readonly PORTS=8
readonly LAYOUTS=(std dot outlook plain)
readonly MARKER=.fluenzr-lab
# Internal senders and readers, for the proofs alone: p01..p12@probe.test write to
# reader@witness-<layout>.test.
readonly PROBES=12

die() {
    local code=$1
    shift
    echo "lab: $*" >&2
    exit "$code"
}

say() {
    printf 'lab: [%3d.%ds] %s\n' $((SECONDS_TENTH / 10)) $((SECONDS_TENTH % 10)) "$*" >&2
}

# Tenths of a second since the program began, for the progress lines.
clock_start() {
    CLOCK_FROM=${EPOCHREALTIME/[.,]/}
}
stage() {
    SECONDS_TENTH=$(((${EPOCHREALTIME/[.,]/} - CLOCK_FROM) / 100000))
    say "$@"
}

usage_error() {
    echo "lab: $1" >&2
    echo "usage: $USAGE" >&2
    exit 64
}

# --dir DIR, made absolute. A path must be short: unix sockets below it end at 107 bytes.
set_dir() {
    [[ -n $1 ]] || usage_error "--dir DIR is missing"
    LAB_DIR=$(realpath -m -- "$1")
    [[ $LAB_DIR != / ]] || usage_error "--dir / is refused"
    [[ $LAB_DIR =~ ^[A-Za-z0-9_./+-]+$ ]] ||
        die 64 "$LAB_DIR: only letters, digits and _ . / + - may stand in the directory's path"
    ((${#LAB_DIR} <= 64)) || die 64 "$LAB_DIR: longer than 64 characters"
}

need_root() {
    ((EUID == 0)) || die 77 "must be run as root (Postfix, Dovecot and rspamd change their users)"
}

need_lab() {
    [[ -e $LAB_DIR/$MARKER && -e $LAB_DIR/lab.env ]] || die 1 "$LAB_DIR: no lab here (run up first)"
    # shellcheck disable=SC1091
    source "$LAB_DIR/lab.env"
}

# ---- processes ---
# A lab's process is one whose program is a mail server's (or a helper built into DIR/bin) and whose
# working or root directory lies below DIR. Process id files would forget what an interrupted start
# left behind; this does not.

lab_pids() {
    # %N quotes both names: '/proc/1/exe' -> '/sbin/init'
    stat -c %N /proc/[0-9]*/exe /proc/[0-9]*/cwd /proc/[0-9]*/root 2>/dev/null |
        awk -v dir="$LAB_DIR" -F"'" '
            { split($2, part, "/"); pid = part[3]; what = part[4]; to = $4 }
            what == "exe" && (to ~ /^\/usr\/(lib|libexec)\/(postfix|dovecot)\// ||
                to ~ /^\/usr\/s?bin\/(dovecot|rspamd|redis-[a-z-]+|nsd)/ ||
                index(to, dir "/bin/") == 1) { server[pid] = 1 }
            what != "exe" && (to == dir || index(to, dir "/") == 1) { inside[pid] = 1 }
            END { for (pid in server) if (pid in inside) print pid }' || true
}

# Ends them all: asks for three seconds, then insists.
end_processes() {
    local pids signal=TERM attempt
    for ((attempt = 0; attempt < 100; attempt++)); do
        mapfile -t pids < <(lab_pids)
        ((${#pids[@]} > 0)) || return 0
        ((attempt < 30)) || signal=KILL
        if ((attempt == 0 || attempt >= 30)); then
            kill -s "$signal" "${pids[@]}" 2>/dev/null || true
        fi
        sleep 0.1
    done
    die 1 "processes that do not end: ${pids[*]}"
}

# Starts a server that stays in the foreground, in DIR, with nothing of the caller's open.
spawn() {
    local name=$1
    shift
    (
        cd "$LAB_DIR"
        exec 7<&- 8<&- 9>&-
        exec setsid "$@" </dev/null >>"$LAB_DIR/log/$name.out" 2>&1
    ) &
    disown
}

# Waits until the command succeeds: TENTHS COMMAND...
wait_for() {
    local tenths=$1 i
    shift
    for ((i = 0; i < tenths * 2; i++)); do
        if "$@" >/dev/null 2>&1; then
            return 0
        fi
        sleep 0.05
    done
    return 1
}

# ---- talking to the servers ---
# curl reads users and passwords from a file descriptor: arguments are visible to everyone.

password_of() {
    awk -F'\t' -v a="$1" '$1 == a { print $2 }' "$LAB_DIR/mailboxes.tsv"
}

# imap USER URL-PATH COMMAND [imap|imaps]
imap() {
    local user=$1 path=$2 command=${3//\\/\\\\} scheme=${4:-imaps} port=$LAB_IMAPS_PORT
    command=${command//\"/\\\"}
    [[ $scheme == imaps ]] || port=$LAB_IMAP_PORT
    curl -q -sS --max-time 60 -K <(
        printf 'url = "%s://127.0.0.1:%s/%s"\nuser = "%s:%s"\ncacert = "%s"\nssl-reqd\n' \
            "$scheme" "$port" "$path" "$user" "$(password_of "$user")" "$LAB_CA"
        [[ -z $command ]] || printf 'request = "%s"\n' "$command"
    )
}

# append USER URL-PATH FILE
append() {
    curl -q -sS --max-time 60 -K <(
        printf 'url = "imaps://127.0.0.1:%s/%s"\nuser = "%s:%s"\ncacert = "%s"\nupload-file = "%s"\n' \
            "$LAB_IMAPS_PORT" "$2" "$1" "$(password_of "$1")" "$LAB_CA" "$3"
    )
}

# submit FROM TO FILE [smtp|smtps] [MAIL-FROM]
submit() {
    local from=$1 to=$2 file=$3 scheme=${4:-smtp} sender=${5:-$1} port=$LAB_SMTP_PORT
    [[ $scheme == smtp ]] || port=$LAB_SMTPS_PORT
    curl -q -sS --max-time 60 -K <(
        printf 'url = "%s://127.0.0.1:%s/lab.test"\nuser = "%s:%s"\ncacert = "%s"\nssl-reqd\n' \
            "$scheme" "$port" "$from" "$(password_of "$from")" "$LAB_CA"
        printf 'mail-from = "%s"\nmail-rcpt = "%s"\nupload-file = "%s"\ncrlf\n' \
            "$sender" "$to" "$file"
    )
}

junk_of_layout() {
    case $1 in
    dot) echo INBOX.Spam ;;
    outlook) echo 'Junk Email' ;;
    plain) echo 'Courrier ind&AOk-sirable' ;;
    *) echo Junk ;;
    esac
}

# A folder's name as it stands in an IMAP URL.
url_of() {
    local name=${1// /%20}
    echo "${name//&/%26}"
}

# neutral FROM TO ID FILE: one small plain message, different each time.
neutral() {
    awk -v kind=neutral -v n=1 -v seed="$RANDOM$RANDOM" -v from="$1" -v to="$2" -v id="$3" \
        -v date="$(date -R)" -f "$LAB_HOME/corpus.awk" >"$4"
}

# where_is MSGID...: "id<TAB>inbox|junk|other|missing" for each, read from the files.
where_is() {
    "$LAB_DIR/bin/maildirs" "$LAB_DIR/mail" |
        awk -F'\t' -v ids="$*" '
            BEGIN { n = split(ids, want, " ") }
            {
                place = "other"
                gsub(/[<>]/, "", $3)
                if ($2 == "INBOX") place = "inbox"
                if ($2 == "Junk" || $2 == "INBOX.Spam" || $2 == "Junk Email" ||
                    $2 == "Courrier ind&AOk-sirable") place = "junk"
                # The recipient has it, not the sender: a Sent copy is not a placement.
                if (!(($3) in at) || at[$3] == "other") at[$3] = place
            }
            END { for (i = 1; i <= n; i++) print want[i] "\t" (want[i] in at ? at[want[i]] : "missing") }'
}

# Waits at most SECONDS until none of the ids is missing, then prints where they are.
where_is_settled() {
    local deadline=$((EPOCHSECONDS + $1)) out
    shift
    while :; do
        out=$(where_is "$@")
        if [[ $out != *$'\tmissing'* ]] || ((EPOCHSECONDS >= deadline)); then
            break
        fi
        sleep 0.05
    done
    printf '%s\n' "$out"
}

# One question to the name server: dns PROTOCOL NAME TYPE
dns() {
    "$LAB_DIR/bin/dnsq" "$LAB_DNS_PORT" "$1" "$2" "$3"
}

redis() {
    redis-cli -h 127.0.0.1 -p "$LAB_REDIS_PORT" "$@"
}

# Takes the proofs' traces away: their mail, and what was counted for their senders.
forget_probes() {
    local layout mask keys
    for layout in "${LAYOUTS[@]}"; do
        # doveadm's "*" does not reach below a prefix.
        for mask in '*' 'INBOX.*'; do
            doveadm -c "$LAB_DIR/dovecot/dovecot.conf" expunge -u "reader@witness-$layout.test" \
                mailbox "$mask" all </dev/null 2>>"$LAB_DIR/log/doveadm.out" || true
        done
    done
    mapfile -t keys < <(
        redis --scan --pattern 'rep:*@probe.test'
        redis --scan --pattern 'ev:*:reader@witness-*'
    )
    ((${#keys[@]} == 0)) || redis del "${keys[@]}" >/dev/null
}
