# fluenzrctl where it speaks to a node: against a socket that says what is written down for it.
load common.bash

setup()
{
    setup_dirs
    export NODE="ipc://$D/n.sock"
    "$FLUENZR_BIN/noded" "$NODE" "$D" 2> "$D/noded.err" 3>&- &
    NODED=$!
    for _ in $(seq 100); do
        [ ! -S "$D/n.sock" ] || break
        sleep 0.1
    done
}

teardown()
{
    kill "$NODED" && wait "$NODED"
    [ ! -s "$D/noded.err" ] || { cat "$D/noded.err"; false; }
}

# answer VERB[.N] CODE WORDS [DOCUMENT]
answer()
{
    printf '%s\n%s\n%s\n' "$2" "$3" "${4-}" > "$D/$1"
}

# The account as its node shows it: login, trouble, time of the next try.
account()
{
    jq -n --argjson ok "$1" --arg trouble "$2" --arg next "$3" '{kind: "NodeAccount", item: {
        address: "ann@alpha.test", probed: "2026-11-22T08:00:00.000Z", login_ok: $ok,
        trouble: $trouble, next_try: $next}}'
}

@test "account import: verdicts on stdout, what else is to be known on stderr" {
    answer account-import 3 '1 of 2 rows taken' '{"kind": "AccountImport", "taken": 1, "refused": 1,
        "rows": [{"line": 2, "address": "ann@alpha.test", "verdict": "accepted", "text": "",
                "firstSlot": "2026-11-23T07:00:00.000Z"},
            {"line": 3, "address": "bob@beta.test", "verdict": "refused", "text": "no"}],
        "note": "all 2 accounts of this node share one owner"}'
    (umask 077 && printf 'address,smtp,imap,password\n' > "$D/a.csv")
    run --separate-stderr -3 ctl -e "$NODE" account import "$D/a.csv" --consent-by me
    [[ ${lines[1]} == *2*ann@alpha.test*accepted*"2026-11-23 07:00Z"* ]]
    [[ ${lines[2]} == *3*bob@beta.test*refused*no ]]
    [[ $stderr == "1 of 2 rows taken
FIRST SLOT: from when on its hours let it send"*"
note: all 2 accounts of this node share one owner" ]]
    run --separate-stderr -3 ctl -o json -e "$NODE" account import "$D/a.csv" --consent-by me
    [ "$(jq -r .note <<< "$output")" = "all 2 accounts of this node share one owner" ]
}

@test "account import: as large a file as is read is sent" {
    answer account-import 1 'the node has read it'
    (umask 077 && head -c $((768 * 1024)) /dev/zero | tr '\0' x > "$D/a.csv")
    run -1 ctl -e "$NODE" account import "$D/a.csv" --consent-by me
    [[ $output == *"the node has read it"* ]]
    printf x >> "$D/a.csv"
    run -64 ctl -e "$NODE" account import "$D/a.csv" --consent-by me
    [[ $output == *"more than 768 KiB; import it in several files"* ]]
}

@test "account ls: at a node, what the node knows" {
    answer account-ls 0 '' '{"kind": "NodeAccountList", "items": [{"address": "ann@alpha.test",
        "state": "needs_auth", "login": "password", "probed": "2026-11-22T08:00:00.000Z",
        "next_try": "", "trouble": "535 no", "needs_auth": "", "smtp": "smtps://mx:465"}]}'
    run -0 ctl account ls --node-endpoint "$NODE"
    [[ ${lines[0]} == "ADDRESS "*STATE*LOGIN*PROBED*TROUBLE* && $output != *PHASE* ]]
    [[ ${lines[1]} == "ann@alpha.test needs_auth password 2026-11-22 08:00Z"*"535 no"* ]]
    [[ $output != *smtps://* ]]
    run -0 ctl account ls --node-endpoint "$NODE" -o wide
    [[ $output == *smtps://mx:465* ]]
    run -0 ctl -q account ls --node-endpoint "$NODE"
    [ "$output" = ann@alpha.test ]
}

@test "account retry: waits for what both servers say" {
    answer account-retry 0 'the login will be tried again now'
    answer account-show.1 0 '' '{"item": {"address": "ann@alpha.test", "probed": ""}}'
    answer account-show.2 0 '' "$(account true '' '')"
    run --separate-stderr -0 ctl account retry ann@alpha.test --node-endpoint "$NODE"
    [ "$output" = "ann@alpha.test: logged in at both servers" ]
    [ "$stderr" = "the login will be tried again now" ]
    [ "$(cat "$D/asked")" = "account retry account=ann@alpha.test
account show account=ann@alpha.test
account show account=ann@alpha.test" ]
}

@test "account retry: a login that fails is told in the server's words, exit 1" {
    answer account-retry 0 'the login will be tried again now'
    answer account-show 0 '' \
        "$(account false 'IMAP mail.alpha.test:993: login: NO [AUTHENTICATIONFAILED] no' 2026-11-22T08:01)"
    run --separate-stderr -1 ctl -e "$NODE" account retry ann@alpha.test
    [ "$output" = "ann@alpha.test: no login; what was said: IMAP mail.alpha.test:993: login: NO \
[AUTHENTICATIONFAILED] no" ]
    [[ $stderr == *"tries again at 2026-11-22T08:01"* ]]
    answer account-show 0 '' "$(account false 'SMTP mail.alpha.test:587: auth: 535 no' '')"
    run -1 ctl -e "$NODE" account retry ann@alpha.test
    [[ $output == *"does not try again by itself: correct user or password"* ]]
}

@test "account retry: no result in time is exit 4; an account of another node exit 1" {
    answer account-retry 0 'the login will be tried again when the coordinator has welcomed this node'
    answer account-show 0 '' '{"item": {"probed": ""}}'
    run -4 ctl -e "$NODE" --timeout 1s account retry ann@alpha.test
    [[ $output == *"has welcomed this node"*"no result yet"* ]]
    answer account-retry 1 'this node has no such account'
    run -1 ctl -e "$NODE" account retry ann@alpha.test
    [[ $output == *"this node has no such account"* ]]
}

@test "account add: what DNS and the table know is shown, and taken by a person only" {
    answer account-discover 0 '' '{"kind": "AccountServers", "domain": "alpha.test",
        "mx": "mx1.mail.ovh.net", "provider": "ovh", "policy": "ask",
        "smtp": "smtps://ssl0.ovh.net:465", "smtp_by": "provider",
        "imap": "imaps://mail.alpha.test:993", "imap_by": "srv"}'
    run -64 ctl account add ann@alpha.test --consent-by me --node-endpoint "$NODE" < /dev/null
    [[ $output == *"mail of alpha.test goes to mx1.mail.ovh.net; provider ovh (ask)"* ]]
    [[ $output == *"SMTP smtps://ssl0.ovh.net:465 (by provider)"* ]]
    [[ $output == *"IMAP imaps://mail.alpha.test:993 (by srv)"* ]]
    [[ $output == *"needs --smtp"* ]]
}

@test "account test: a line for each stage, exit 1 when one failed" {
    answer account-test 1 '' '{"kind": "AccountTest", "address": "ann@alpha.test", "ok": false,
        "stages": [{"stage": "SMTP TLS", "ok": true, "ms": 12, "text": "TLSv1.3; issued by X"},
                   {"stage": "SMTP AUTH", "ok": false, "ms": 340, "text": "auth: 535 5.7.8 no"}]}'
    run --separate-stderr -1 ctl account test ann@alpha.test --node-endpoint "$NODE"
    [[ ${lines[0]} == STAGE*OK*MS*WHAT* ]]
    [[ ${lines[1]} == "SMTP TLS"*yes*12*"issued by X" ]]
    [[ ${lines[2]} == "SMTP AUTH"*NO*340*"535 5.7.8 no" ]]
    [ "$(cat "$D/asked")" = "account test account=ann@alpha.test" ]
    run -1 ctl -o json account test ann@alpha.test --node-endpoint "$NODE"
    [[ $output == *'"stage": "SMTP AUTH"'* && $output != *'"result"'* ]]
    answer account-test 1 'this node has no such account'
    run -1 ctl account test bea@alpha.test --node-endpoint "$NODE"
    [[ $output == *"this node has no such account"* ]]
}

@test "account filter: rules that can be copied" {
    answer account-filter 0 '' '{"kind": "AccountFilter", "sieve": "require [];\nstop;\n",
        "outlook": "condition: net=1\n", "powershell": "New-InboxRule -Name FluenzR\n"}'
    run -0 ctl account filter ann@alpha.test --node-endpoint "$NODE"
    [[ $output == *"# Sieve"*"require [];
stop;"*"# Outlook"*"condition: net=1"*"New-InboxRule -Name FluenzR"* ]]
}

@test "account set: settings go to the node, and the coordinator's word is waited for" {
    answer account-set 0 'the settings are stored; the coordinator is told'
    answer account-show.1 0 '' '{"item": {"state": "registering", "verdict": ""}}'
    answer account-show.2 0 '' '{"item": {"state": "ok", "verdict": "warning: 30 own messages"}}'
    run -0 ctl -e "$NODE" account set ann@alpha.test --holidays FR --blackout 2026-12-24..2027-01-02
    [ "$output" = "the settings are stored; the coordinator is told
the coordinator has taken them: warning: 30 own messages" ]
    [ "$(head -1 "$D/asked")" = \
        "account set account=ann@alpha.test holidays=FR blackout=2026-12-24..2027-01-02" ]
    answer account-show 0 '' '{"item": {"state": "refused", "verdict": "holidays: no such calendar"}}'
    run -1 ctl -e "$NODE" account set ann@alpha.test --hours 09:00-17:00
    [[ $output == *"no such calendar"*"the coordinator by the old ones"* ]]
    answer account-set 64 'no setting is named'
    run -64 ctl -e "$NODE" account set ann@alpha.test
}

@test "account release: asks first, then the node deletes the password" {
    answer account-rm 0 'the account is released; its secret is deleted'
    run -64 ctl -e "$NODE" account release ann@alpha.test < /dev/null
    [[ $output == *"no changes made"*"--yes"* ]]
    [ ! -e "$D/asked" ]
    run -0 ctl -e "$NODE" account release ann@alpha.test --yes
    [[ $output == *"its secret is deleted"* ]]
    [ "$(cat "$D/asked")" = "account rm account=ann@alpha.test" ]
}

# Answers on a terminal what is asked there: each prompt once, as it comes.
person()
{
    local seen=0 size prompt
    for _ in $(seq 400); do
        size=$(stat -c %s "$D/screen" 2> /dev/null || echo 0)
        prompt=$(tail -n 1 "$D/screen" 2> /dev/null)
        if ((size > seen)) && [[ $prompt == *": " ]]; then
            seen=$size
            case $prompt in
            *consent*) echo 'Ann Smith' ;;
            SMTP*) echo smtps://mail.alpha.test ;;
            IMAP*) echo imaps://mail.alpha.test ;;
            Password*) sleep 0.2 && echo hunter2hunter2 && return ;;
            *) echo ;;
            esac
        fi
        sleep 0.05
    done
}

@test "account add: a person at a terminal is asked, consent first, and shows no password" {
    answer account-import 0 '1 of 1 rows taken' '{"kind": "AccountImport", "taken": 1, "refused": 0,
        "rows": [{"line": 2, "address": "ann@alpha.test", "verdict": "accepted", "text": "",
            "firstSlot": "2026-11-23T07:00:00.000Z"}], "note": null, "next": []}'
    person | timeout 60 script -qfec "'$FLUENZR_BIN/fluenzrctl' -e '$NODE' account add ann@alpha.test" \
        "$D/screen" > /dev/null || { cat "$D/screen"; false; }
    grep -q 'ann@alpha.test.*accepted' "$D/screen"
    [[ $(sed -n 2p "$D/screen") == *consent* ]]
    run ! grep hunter2 "$D/screen"
    grep -qx "account import consent-by=Ann Smith" "$D/asked"
}
