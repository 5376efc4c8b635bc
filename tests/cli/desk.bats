# fluenzrctl against the coordinator's desk and HTTP door, over a world of three accounts.
load common.bash

setup()
{
    setup_dirs
    make_network "$D"
    export FLUENZR_ADMIN="$D/admin"
}

teardown()
{
    [ -z "${DESKD-}" ] || { kill "$DESKD" && wait "$DESKD"; }
    [ ! -s "$D/deskd.err" ] || { cat "$D/deskd.err"; false; }
}

# start_desk [one-owner|refused|jumped|empty|damaged]
start_desk()
{
    "$FLUENZR_BIN/deskd" "$D/coordinator" "ipc://$D/c.sock" "$@" > "$D/port" 2> "$D/deskd.err" 3>&- &
    DESKD=$!
    for _ in $(seq 100); do
        [ ! -s "$D/port" ] || break
        sleep 0.1
    done
    URL="http://127.0.0.1:$(cat "$D/port")"
}

@test "every list is a document with apiVersion, kind, revision and items" {
    start_desk
    while read -r kind verb; do
        run --separate-stderr -0 ctl -o json $verb
        jq -e --arg kind "$kind" '.apiVersion == "fluenzr/v1" and .kind == $kind and
            (.revision | type) == "number" and (.items | type) == "array"' <<< "$output"
        [ -z "$stderr" ]
    done << 'LISTS'
NodeList node ls
AccountList account ls
PlanList plan show
ExchangeList exchange ls
StatsList stats
EventList events
PolicyList policy ls
PauseList pause ls
SuppressionList suppress ls
AlertList alert ls
LISTS
}

@test "every thing is a document with an item" {
    start_desk
    exchange=$(ctl -q exchange ls | head -1)
    while read -r kind verb; do
        run --separate-stderr -0 ctl -o json $verb
        jq -e --arg kind "$kind" '.kind == $kind and (.item | type) == "object"' <<< "$output"
    done << THINGS
Node node show n1
Account account show ann@alpha.test
AccountWhy account why ann@alpha.test
AccountPair account why ann@alpha.test --with bob@beta.test
AccountReachable account reachable ann@alpha.test
AccountExport account export ann@alpha.test
Exchange exchange show $exchange
THINGS
}

@test "times are RFC 3339 UTC, numbers are numbers, enums are words" {
    start_desk
    run -0 ctl -o json account show ann@alpha.test
    jq -e '.item | (.registeredAt | test("^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$"))
        and (.day | type) == "number" and .phase == "start" and .profile == "new"' <<< "$output"
    # What may be sent besides warming: nothing yet from a new account, and 40 is above that.
    jq -e '.item.prospecting == {advisedLow: 0, advisedHigh: 0, declared: 40, aboveAdvice: true}' \
        <<< "$output"
}

@test "status: problems last, exit 1 when one is critical" {
    start_desk
    run -1 ctl status
    [[ $output == "network world"* && ${lines[-1]} == *"next: "* ]]
    [[ $output == *"CRIT node/n2: not heard"* ]]
    run -1 ctl -q status
    [ -z "$output" ]
    run -1 ctl -o json status
    jq -e '.item.accounts.live == 3 and .item.today.junk == 1 and
        (.item.problems | map(.code) | index("NODE_NOT_CONNECTED") == 0)' <<< "$output"
}

@test "one owner: nothing can be paired, and which key may be changed" {
    start_desk one-owner
    run -1 ctl status
    [[ $output == *"share one owner: nothing can be paired"*"policy set same_owner_percent"* ]]
    run -0 ctl policy set same_owner_percent 20
    run -0 ctl status
    [[ $output == *"WARN network: all 3 accounts share one owner: at most 20 %"* ]]
    run -64 ctl policy set same_owner_percent 50
    [[ $output == *"20"* ]]
    run -64 ctl policy set same_owner_procent 5
    [[ $output == *"same_owner_percent"* ]]
    run -0 ctl -o json policy ls
    [ "$(jq '.items[] | select(.key == "same_owner_percent").value' <<< "$output")" = 20 ]
}

@test "score and health: no number without what it rests on; a state is cleared by a person" {
    start_desk
    run -0 ctl account ls
    [[ ${lines[0]} == *HEALTH*SCORE* ]]
    [[ ${lines[1]} == *healthy* ]]
    run -0 ctl account ls --health healthy
    [[ ${lines[1]} == *ann@alpha.test* ]]
    run -0 ctl -q account ls --health blocked
    [[ $output != *ann@alpha.test* ]]
    run -64 ctl account ls --health well
    [[ $output == *"quarantined"* ]]
    run -0 ctl -o json account show ann@alpha.test
    jq -e '.item | .score == null and .scoreBasis == null and .health == "healthy" and
        (.reputation.scores | map(.basis) == ["7d", "28d", "domain-7d"] and
         all(.value == null and .seen == 1 and .inbox.high > 0.7 and .placementCap == 20))' <<< "$output"
    run -1 ctl account clear ann@alpha.test
    [[ $output == *"its health holds nothing back"* ]]
}

@test "a refused login: stage, server's words, since when and what next, wherever one looks" {
    start_desk refused
    run -0 ctl account ls
    [[ ${lines[1]} == *login-refused*"login refused 1 of 3, next try at 20"* ]]
    [[ ${lines[2]} == *needs-auth*"login refused 3 times, not tried again by itself"* ]]
    run -0 ctl account ls -o wide
    [[ ${lines[1]} == *"SMTP mail.alpha.test:587: auth: 535 5.7.8 Authentication failed"* ]]

    run -0 ctl account why ann@alpha.test
    [[ $output == *"the newest login failed, as all have since 20"*": its credentials are refused"* ]]
    [[ $output == *"what was said: SMTP mail.alpha.test:587: auth: 535 5.7.8 Authentication failed"* ]]
    [[ $output == *"login refused 1 of 3; node n1 tries again at 20"* ]]
    run -0 ctl account why bob@beta.test
    [[ $output == *"3 logins were refused"*"fluenzrctl account retry ADDRESS"* ]]
    [[ $output != *"tries again at"* ]]

    run -1 ctl status
    [[ $output == *"WARN account/ann@alpha.test: 1 of 3 accounts"*"login-refused"*"535 5.7.8"* ]]
    [[ $output == *"WARN account/bob@beta.test: 1 of 3 accounts"*"needs-auth"*"account retry ADDRESS"* ]]
    run -0 ctl -o json account show bob@beta.test
    jq -e '.item | .readiness == "needs-auth" and .probe.refusedLogins == 3 and
        .probe.nextTryAt == null and .probe.troubleSince != null' <<< "$output"
}

@test "an empty network: what to do first" {
    start_desk empty
    run -1 ctl status
    [[ $output == *"no node has joined"*"node invite"* && $output == *"no account"* ]]
    run --separate-stderr -0 ctl node ls
    [[ -z $output && $stderr == none ]]
}

@test "an alert is shown, acknowledged, silenced, and its number must be one" {
    start_desk refused
    run -0 ctl alert ls
    [ "${#lines[@]}" -eq 2 ]
    [[ ${lines[1]} == *1*critical*login*account/bob@beta.test*open*"a person has to sign in"* ]]
    run -0 ctl -o json alert show 1
    jq -e '.kind == "Alert" and .item.number == 1 and .item.resolvedAt == null and
        (.item.next | contains("account retry"))' <<< "$output"
    run -64 ctl alert ack 1
    [[ $output == *--reason* ]]
    run -64 ctl alert ack 1 --reason x --for soon
    [[ $output == *"--for is a duration"* ]]
    run -0 ctl alert ack 1 --reason 'the owner is asked'
    [[ $output == *acknowledged* ]]
    run -0 ctl alert ls -o wide
    [[ ${lines[1]} == *acknowledged*"the owner is asked"* ]]
    run -0 ctl alert ack 1 --reason 'he is away' --for 2d
    [[ $output == *"silenced until 20"* ]]
    run --separate-stderr -0 ctl alert ls
    [[ -z $output && $stderr == none ]]
    run -0 ctl alert ls --all
    [[ ${lines[1]} == *silenced* ]]
    run -0 ctl -o json events --type alert-acked
    jq -e '(.items | length) == 2 and .items[1].by != "" and .items[1].text == "he is away"' <<< "$output"
    run -1 ctl alert show 99
    [[ $output == *"no such alert"*"alert ls --all"* ]]
    run -64 ctl alert show one
    [[ $output == *"number from 1"* ]]
    curl -s "$URL/api/v1/alerts?all" | jq -e '.items[0] | .state == "silenced" and .accounts == 1'
    curl -s "$URL/metrics" | grep -qx 'fluenzr_alerts{code="login"} 1'
}

@test "tables: -q gives names, -o wide more columns" {
    start_desk
    run -0 ctl -q account ls
    [ "$output" = "ann@alpha.test
bob@beta.test
cleo@gamma.test" ]
    run -0 ctl account ls
    [[ ${lines[0]} != *ZONE* ]]
    run -0 ctl account ls -o wide
    [[ ${lines[0]} == *ZONE* ]]
    run -0 ctl account ls --node n2
    [ "${#lines[@]}" -eq 2 ]
    run -64 ctl account ls --phase stat
    [[ $output == *"no such phase"*"start, ramp, maintain, recovery"* ]]
    run -0 ctl -q account ls --phase start
    [ "${#lines[@]}" -eq 3 ]
    run -64 ctl events --type receipts
    [[ $output == *"no such type"*"types: "*" receipt "*recovered* ]]
    run -0 ctl account ls --unready
    [[ ${lines[1]} == cleo@gamma.test*node-not-connected* ]]
}

@test "a thing that is not there: exit 1, NOT_FOUND" {
    start_desk
    run --separate-stderr -1 ctl -o json account show nobody@x.test
    [ "$(jq -r .error.code <<< "$stderr")" = NOT_FOUND ]
    run -1 ctl node show n7
    run -1 ctl exchange show 00000000000000000000000000000001
    run -64 ctl exchange show x
}

@test "pause and resume: target, reason, end" {
    start_desk
    run -0 ctl pause domain/beta.test --reason 'DNS change' --for 2h
    [[ $output == *"undo: fluenzrctl resume domain/beta.test"* ]]
    run -0 ctl -o json pause ls
    jq -e '.items[0] | .target == "domain/beta.test" and .reason == "DNS change" and
        .by == "administrator" and .until != null' <<< "$output"
    run -0 ctl resume domain/beta.test
    run -1 ctl resume domain/beta.test
    run -0 ctl pause account/ann@alpha.test --reason x
    run -0 ctl account why ann@alpha.test
    [[ $output == *paused* ]]
    for target in planet node/ network/x domain; do
        run -64 ctl pause "$target" --reason x
    done
    run -64 ctl pause network --reason x --for 2
    run -1 ctl pause node/n7 --reason x
}

@test "clock confirm: a step is told, asked about, taken over by an administrator alone" {
    start_desk jumped
    run -1 ctl status
    [[ $output == *"CRIT coordinator: the clock"*"jumped 2880 min ahead"*"clock confirm"* ]]
    run -64 ctl clock confirm < /dev/null
    [[ $output == *"no changes made"*"--yes"* ]]
    ctl -q key certify --root "$D/root" --role operator --scope node/n1 --name op --out "$D/op"
    run -77 ctl -i "$D/op" clock confirm --yes
    before=$(ctl -o json status | jq -r .item.networkTime) || true
    run -0 ctl -o json clock confirm --yes
    jq -e '.kind == "Change" and .item.subject == "clock" and
        (.item.message | test("forward by 2880 min"))' <<< "$output"
    run -1 ctl -o json status
    jq -e --arg before "$before" '.item.networkTime > $before and
        (.item.problems | all(.code != "CLOCK_REFUSED"))' <<< "$output"
    run -1 ctl clock confirm --yes
    [[ $output == *"nothing to confirm"* ]]
    run -64 ctl clock confrim
    [[ $output == *"clock confirm"* ]]
}

@test "suppress: by address, without keeping it" {
    start_desk
    run -0 ctl suppress add Stranger@Else.test --reason 'asked to stop'
    run -0 ctl -o json suppress ls
    [[ $output != *tranger* ]]
    digest=$(jq -r '.items[0].digest' <<< "$output")
    run -1 ctl suppress add stranger@else.test --reason again
    run -0 ctl suppress rm "$digest"
    run -0 ctl suppress add ann@alpha.test --reason 'asked to stop'
    run -0 ctl account why ann@alpha.test
    [[ $output == *"suppression list"* ]]
    run -64 ctl suppress add nobody --reason x
}

@test "suppress: whose wish it is, and the list as CSV" {
    start_desk
    run -64 ctl suppress add ann@alpha.test --reason x --kind bounce
    run -0 ctl suppress add ann@alpha.test --reason '=said "stop"' --kind owner
    run -0 ctl suppress add else@else.test --reason 'a trap, we think'
    run -0 ctl suppress ls
    [[ $output == *owner* && $output == *operator* ]]
    run -0 ctl suppress export
    [ "${lines[0]%$'\r'}" = "digest,address,kind,since,by,reason" ]
    [[ ${lines[1]} == *',"ann@alpha.test","owner",'*'," =said ""stop"""'* ]]
    [[ ${lines[2]} == *',"","operator",'*'"a trap, we think"'* ]]
    run -0 ctl -o json suppress export
    [ "$(jq -r '.items[0].kind' <<< "$output")" = owner ]
    run -0 ctl account why ann@alpha.test
    [[ $output == *"by its owner: =said"* && $output == *"suppress rm"* ]]
}

@test "invite: the token comes out once, private, and the coordinator records its digest only" {
    start_desk
    run --separate-stderr -0 ctl node invite n3 --out "$D/token"
    [[ -z $output && $stderr == *"n3 is invited until"* ]]
    [ "$(stat -c %a "$D/token")" = 600 ]
    [[ $(cat "$D/token") == flzjoin1_* ]]
    run -0 ctl node ls
    [[ $output == *"n3"*"invited"* ]]
    run -0 ctl -o json node invite n4 --for 1h
    jq -e '.item.token | startswith("flzjoin1_")' <<< "$output"
}

@test "removal asks first; export names one person; erasing leaves no address" {
    start_desk
    run -64 ctl account rm ann@alpha.test < /dev/null
    [[ $output == *"no changes made"* ]]
    run -0 ctl account export ann@alpha.test
    [[ $output == *ann@alpha.test* && $output != *bob@beta.test* ]]
    jq -e '.item.complete and (.item.exchanges | length > 0)' <<< "$output"
    run -0 ctl account rm ann@alpha.test --yes
    run -0 ctl -o json account ls --all
    [ "$(jq -r '.items[0].state' <<< "$output")" = removed ]
    run -0 ctl account erase bob@beta.test --yes
    run -0 ctl -o json account ls --all
    [[ $output != *bob@* ]]
    run -64 ctl node revoke n2 < /dev/null
    run -0 ctl node revoke n2 --yes
    run -0 ctl node show n2
    [[ $output == *revoked* ]]
}

@test "an operator sees and changes its node only" {
    start_desk
    ctl -q key certify --root "$D/root" --role operator --scope node/n1 --name op --out "$D/op"
    export FLUENZR_ADMIN="$D/op"
    run -0 ctl -q account ls
    [ "$output" = "ann@alpha.test
bob@beta.test" ]
    run -1 ctl account show cleo@gamma.test
    run -0 ctl pause node/n1 --reason x
    run -0 ctl pause account/bob@beta.test --reason x
    run -77 ctl pause node/n2 --reason x
    run -77 ctl pause network --reason x
    run -77 ctl policy set cooldown_days 4
    run -77 ctl suppress add a@b.test --reason x
    run -77 ctl node revoke n1 --yes
    run -77 ctl node invite n1
    run -77 ctl events
    run -77 ctl audit verify
    run -77 ctl audit prove 1
    run -0 ctl account rm bob@beta.test --yes
}

@test "a viewer sees its owner's accounts and changes nothing" {
    start_desk
    ctl -q key certify --root "$D/root" --role viewer --scope owner/Beta --name b --out "$D/b"
    export FLUENZR_ADMIN="$D/b"
    run -0 ctl -q account ls
    [ "$output" = bob@beta.test ]
    run -0 ctl account why bob@beta.test
    run -77 ctl account rm bob@beta.test --yes
    run -77 ctl pause account/bob@beta.test --reason x
    run -0 ctl -q node ls
    [ -z "$output" ]
}

@test "a certificate of another network is refused: exit 77" {
    start_desk
    make_network "$D/other"
    FLUENZR_ADMIN="$D/other/admin" run -77 ctl -e "ipc://$D/c.sock" status
}

@test "events: the newest, of one type, behind one another" {
    start_desk
    run -0 ctl -o json events --limit 3
    jq -e '.items | length == 3 and .[0].seq < .[1].seq' <<< "$output"
    run -0 ctl events --type joined
    [ "${#lines[@]}" -eq 2 ]
    run -64 ctl events --type party
    (sleep 1; ctl -q pause network --reason follow-me) 3>&- &
    run timeout 4 "$FLUENZR_BIN/fluenzrctl" events -f --limit 1
    [[ $output == *"paused"*"text=follow-me"* ]]
    [ "$(grep -c follow-me <<< "$output")" -eq 1 ]
    wait $! || true
}

@test "stats by what was sent: slices with the bounds of their shares, and CSV" {
    start_desk
    for by in towards provider domain owner node scenario; do
        run -0 ctl -o json stats --by $by
        jq -e '.kind == "SliceList" and ([.items[].junk] | add) == 1 and
            (.items[0] | has("refusedHard") and has("junkShareLow"))' <<< "$output"
    done
    run -0 ctl stats --by owner
    [[ ${lines[0]} == OWNER*JUNK%* && ${lines[0]} != *TOWARDS* ]]
    run -0 ctl -o json stats --by towards --account ann@alpha.test
    jq -e '.items[0] | .towards == "smtp" and .sent == 1 and .junkShareHigh == 1' <<< "$output"
    run -0 ctl stats --by provider --csv
    [[ ${lines[0]} == provider,towards,planned,* ]]
    [[ ${lines[1]} == '"smtp","smtp",'* ]]
    [ "$(tr -cd , <<< "${lines[0]}" | wc -c)" -eq "$(tr -cd , <<< "${lines[1]}" | wc -c)" ]
    run -0 ctl stats --csv
    [[ ${lines[0]} == date,* ]]
    run -64 ctl stats --by week
    [[ $output == *scenario* ]]
}

@test "audit verify: the whole log, and its head" {
    start_desk
    run -0 ctl -o json audit verify
    jq -e '.kind == "Audit" and .item.result == "whole" and .item.firstEvent == 1 and
        .item.headEvent > 5 and (.item.headDigest | length) == 64' <<< "$output"
    run -0 ctl audit verify
    [[ $output == *whole* && $output != *logHead* ]]
    run -0 ctl -q audit verify
    [ -z "$output" ]
}

@test "audit verify --aggregates, policy replay: the log folded once more" {
    start_desk
    run -0 ctl -o json audit verify --aggregates
    jq -e '.kind == "AggregatesAudit" and .item.result == "whole" and .item.rows == 42' <<< "$output"
    run -0 ctl -o json policy replay
    jq -e '.kind == "Replay" and .item.different == 0 and .item.policy == {} and
        (.item.entered | keys | length) == 5' <<< "$output"
    printf '# stricter\nhealth_watch_percent: 5\n\nhealth_floor 3\n' > "$BATS_TEST_TMPDIR/policy"
    run -0 ctl -o json policy replay --policy "$BATS_TEST_TMPDIR/policy" --since 2026-11-01
    jq -e '.item.policy == {"health_watch_percent": 5, "health_floor": 3} and
        .item.since == "2026-11-01T00:00:00.000Z"' <<< "$output"
    run -0 ctl policy replay
    [[ $output == *"days closed"* && $output != *differences* ]]
    echo 'health_wach_percent: 5' > "$BATS_TEST_TMPDIR/policy"
    run -64 ctl policy replay --policy "$BATS_TEST_TMPDIR/policy"
    [[ $output == *"did you mean 'health_watch_percent'"* ]]
    echo 'health_watch_percent: few' > "$BATS_TEST_TMPDIR/policy"
    run -64 ctl policy replay --policy "$BATS_TEST_TMPDIR/policy"
    [[ $output == *"whole numbers"* ]]
    run -64 ctl policy replay --policy "$BATS_TEST_TMPDIR/none"
}

@test "audit verify: exit 2 and the first bad segment" {
    start_desk damaged
    run -2 ctl audit verify
    [[ $output == *"segment 2 "* ]]
    run -2 ctl audit prove 1
    [[ $output == *"segment 2 "* ]]
}

@test "backup: its path for scripts, what was read of it, and exit 2 when that is damaged" {
    start_desk
    run -0 --separate-stderr ctl -q backup create --keep 3
    [ "$output" = /var/lib/fluenzr/backup/2026-11-23T100000Z ]
    [ -z "$stderr" ]
    run -0 ctl backup create
    [[ $output == *"head event"*17* && $output == *"cp -a /var/lib/fluenzr/backup/2026-11-23T100000Z "* ]]
    run -0 ctl -o json backup verify 2026-11-23T100000Z
    jq -e '.kind == "Backup" and .item.result == "whole" and .item.rows == 42' <<< "$output"
    run -1 ctl backup verify 2026-11-24T100000Z
    [[ $output == *"no backup of this name"* ]]
    run -64 ctl backup create --keep 0
    run -64 ctl backup verify
    ctl -q key certify --root "$D/root" --role operator --scope node/n1 --name op --out "$D/op"
    run -77 ctl -i "$D/op" backup create
}

@test "backup: what is damaged is none" {
    start_desk damaged
    run -2 ctl backup create
    [[ $output == *"segment 2 is damaged"*"this is no backup"* ]]
}

@test "audit prove: a receipt, by its task, that anybody can check" {
    start_desk
    task=$(ctl -o json events --type receipt | jq -r '.items[0].taskId')
    run -0 ctl audit prove "$task" --out "$D/proof"
    [[ $output == *"fluenzrctl audit check"* ]]
    run -1 ctl audit prove "$task" --out "$D/proof"
    [[ $output == *"there already"* ]]
    run ! grep -q "@" "$D/proof"
    kill "$DESKD" && wait "$DESKD"
    unset DESKD
    run -0 ctl -o json audit check "$D/proof"
    jq -e --arg task "$task" '.kind == "CheckedProof" and .item.taskId == $task and
        .item.type == "receipt" and .item.task == "send"' <<< "$output"
    network=$(ctl -o json key show | jq -r .item.networkId)
    root=$(ctl -o json key show | jq -r .item.rootKey)
    run -0 env FLUENZR_ADMIN=/nowhere "$FLUENZR_BIN/fluenzrctl" audit check "$D/proof" \
        --network "$network" --root "$root"
    [[ $output == "result "*proved*"$task"* ]]
    run -64 ctl audit check "$D/proof" --root "$root"
}

@test "audit prove: any event, by its number; what is not there is not proved" {
    start_desk
    run -0 ctl audit prove 3
    jq -e '.kind == "Proof" and .item.event == 3' <<< "$output"
    run -1 ctl audit prove 99999
    [[ $output == *"no such event"* ]]
    run -1 ctl audit prove 00112233445566778899aabbccddeeff
    [[ $output == *"no receipt of this task"* ]]
    run -64 ctl audit prove ann@alpha.test
}

@test "audit check: what was changed proves nothing" {
    start_desk
    ctl audit prove 3 > "$D/proof"
    run -0 ctl audit check "$D/proof"
    for change in '.item.event = 4' '.item.index = 1' '.item.path = ["00"]' 'del(.item.logHead)' \
        '.item.bytes |= ("AAAA" + .[4:])' '.item.headers |= .[0:-4]' \
        '.item.headers |= (.[0:100] + "AAAA" + .[104:])'; do
        jq "$change" "$D/proof" > "$D/forged"
        run -2 ctl audit check "$D/forged"
    done
    # A chain that ends before the head that was signed: six headers, of 136 bytes, cut to three.
    ctl audit prove $(($(jq .item.headEvent "$D/proof") - 5)) > "$D/six"
    jq '.item.headers |= .[0:-544]' "$D/six" > "$D/forged"
    run -2 ctl audit check "$D/forged"
    [[ $output == *"not where the chain leads"* ]]
    echo "{}" > "$D/forged"
    run -2 ctl audit check "$D/forged"
    run -1 ctl audit check "$D/absent"
    mkdir "$D/other"
    make_network "$D/other"
    run -2 ctl -i "$D/other/admin" audit check "$D/proof"
    [[ $output == *"certificate"* ]]
}

@test "events: --after goes on where one stopped" {
    start_desk
    run -0 ctl -o json events
    seqs=$(jq -c '[.items[].seq]' <<< "$output")
    third=$(jq '.[2]' <<< "$seqs")
    run -0 ctl -o json events --after "$third"
    [ "$(jq -c '[.items[].seq]' <<< "$output")" = "$(jq -c '.[3:]' <<< "$seqs")" ]
    run -0 ctl -o json events --after "$third" --limit 2
    [ "$(jq -c '[.items[].seq]' <<< "$output")" = "$(jq -c '.[3:5]' <<< "$seqs")" ]
    for slip in x -1 0 1.5 ''; do
        run -64 ctl events --after "$slip"
        [[ $output == *"is not the number of an event"* ]]
    done
}

@test "events: following goes on when the coordinator is started again" {
    start_desk
    timeout 20 "$FLUENZR_BIN/fluenzrctl" --timeout 1s events -f --limit 1 \
        > "$D/seen" 2> "$D/said" 3>&- &
    following=$!
    sleep 1.5
    kill "$DESKD" && wait "$DESKD"
    for _ in $(seq 50); do
        ! grep -q 'asking again until it answers' "$D/said" || break
        sleep 0.2
    done
    grep -q 'cannot reach\|no answer from' "$D/said"
    start_desk
    for _ in $(seq 50); do
        ! grep -q 'it answers again' "$D/said" || break
        sleep 0.2
    done
    ctl -q pause network --reason still-here
    for _ in $(seq 30); do
        ! grep -q still-here "$D/seen" || break
        sleep 0.2
    done
    kill "$following" && wait "$following" || true
    [ "$(grep -c 'asking again until it answers' "$D/said")" -eq 1 ]
    [ "$(grep -c still-here "$D/seen")" -eq 1 ]
}

@test "wait: ready when all are, exit 4 when not" {
    start_desk one-owner
    run -0 ctl wait --for ready --timeout 5s
    run -0 ctl wait --for idle --timeout 5s
    ctl -q pause account/ann@alpha.test --reason x
    run -4 ctl wait --for ready --timeout 1s
    kill "$DESKD" && wait "$DESKD"
    start_desk
    run -4 ctl wait --for ready --timeout 1s
}

@test "HTTP: health, metrics and the same documents" {
    start_desk
    [ "$(curl -s "$URL/livez")" = ok ]
    run -0 curl -s "$URL/readyz?verbose"
    [[ $output == *"[+]store ok"*ok ]]
    for document in status nodes accounts exchanges alerts plan stats; do
        run -0 curl -sf "$URL/api/v1/$document"
        jq -e '.apiVersion == "fluenzr/v1"' <<< "$output"
    done
    diff <(curl -s "$URL/api/v1/accounts" | jq -S .) <(ctl -o json account ls | jq -S .)
    run -0 curl -s -o /dev/null -w '%{http_code}' "$URL/api/v1/secrets"
    [ "$output" = 404 ]
    run -0 curl -s -o /dev/null -w '%{http_code}' -X POST "$URL/api/v1/status"
    [ "$output" = 405 ]
    run -0 curl -s "$URL/metrics"
    [[ $output != *@* && $output == *'fluenzr_nodes{state="joined"} 2'* ]]
    if command -v promtool > /dev/null; then
        promtool check metrics <<< "$output"
    fi
}

@test "HTTP: one node, one account, why, one exchange" {
    start_desk
    id=$(curl -s "$URL/api/v1/accounts?text=bob" | jq -re '.items | select(length == 1) | .[0].id')
    for name in "$id" bob@beta.test; do
        run -0 curl -sf "$URL/api/v1/accounts/$name"
        jq -e '.kind == "Account" and .item.address == "bob@beta.test"' <<< "$output"
    done
    run -0 curl -sf "$URL/api/v1/accounts/$id/why"
    jq -e '.kind == "AccountWhy" and (.item.why | length) > 0' <<< "$output"
    run -0 curl -sf "$URL/api/v1/nodes/n1"
    jq -e '.kind == "Node" and .item.accounts == 2' <<< "$output"
    exchange=$(curl -s "$URL/api/v1/exchanges?limit=1" | jq -r '.items[0].id')
    run -0 curl -sf "$URL/api/v1/exchanges/$exchange"
    jq -e '.kind == "Exchange" and (.item.conversation | length) > 0' <<< "$output"
    for path in nodes/n9 accounts/nobody accounts/ accounts/x/why exchanges/$id stats?account=nobody; do
        run -0 curl -s -w ' %{http_code}' "$URL/api/v1/$path"
        [[ $output == *'"NOT_FOUND"'*" 404" ]]
    done
    curl -s "$URL/api/v1/exchanges/$id" | jq -e '.error.hint | contains("exchange show")'
    curl -s "$URL/api/v1/accounts/nobody" | jq -e '.error.hint | contains("account ls")'
}

@test "HTTP: lists are bounded, and say how they go on" {
    start_desk
    run -0 curl -sf "$URL/api/v1/accounts?limit=2"
    next=$(jq -re '.items | length == 2' <<< "$output" > /dev/null && jq -re .next <<< "$output")
    run -0 curl -sf "$URL/api/v1/accounts?limit=2&after=$next"
    jq -e '(.items | length) == 1 and .items[0].address == "cleo@gamma.test" and .next == null' <<< "$output"
    run -0 curl -sf "$URL/api/v1/accounts?limit=1&recent"
    jq -e '.items[0].recent.days == 14' <<< "$output"
    for limit in 0 -1 99999 x; do # absurd ones are the greatest allowed
        run -0 curl -sf "$URL/api/v1/accounts?limit=$limit"
        jq -e '(.items | length) == 3' <<< "$output"
    done
    run -0 curl -sf "$URL/api/v1/plan?limit=1"
    jq -e '(.items | length) == 1 and .next != null' <<< "$output"
    run -0 curl -sf "$URL/api/v1/stats?days=30"
    jq -e '(.items | length) == 30' <<< "$output"
}

@test "HTTP: the dashboard's files have their type, policy and version" {
    start_desk
    while read -r path type; do
        curl -sfI "$URL$path" | tr -d '\r' > "$D/head"
        grep -qix "content-type: $type; charset=utf-8" "$D/head"
        grep -qi "^content-security-policy: default-src 'self';" "$D/head"
        grep -qix 'x-content-type-options: nosniff' "$D/head"
        grep -qix 'cache-control: no-cache' "$D/head"
        run -0 curl -sf "$URL$path"
        [ "$(grep -i '^content-length: ' "$D/head" | cut -d ' ' -f 2)" -gt 100 ]
        etag=$(sed -n 's/^[Ee][Tt][Aa][Gg]: //p' "$D/head")
        run -0 curl -s -o "$D/body" -w '%{http_code}' -H "If-None-Match: $etag" "$URL$path"
        [ "$output" = 304 ]
        [ ! -s "$D/body" ]
    done << 'FILES'
/ text/html
/app.css text/css
/app.js text/javascript
/data.js text/javascript
/draw.js text/javascript
/pages.js text/javascript
/icon.svg image/svg+xml
FILES
    for path in /index.html /nothing.js /../identity /web_files.c; do
        run -0 curl -s --path-as-is -o /dev/null -w '%{http_code}' "$URL$path"
        [ "$output" = 404 ]
    done
}

@test "the dashboard has no inline script or style, no asset of others, and reads no data as HTML" {
    cd "$BATS_TEST_DIRNAME/../../coordinator/web"
    run ! grep -nE 'innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser' ./*.js
    run ! grep -nE '<script>|<style|style=|[[:space:]]on[a-z]+=' index.html
    run ! grep -nE 'https?://|//[a-z]' index.html app.css
    [ "$(grep -hoE 'https?://[^"'"'"' ]+' ./*.js | sort -u)" = http://www.w3.org/2000/svg ]
    run ! grep -nE "setAttribute\('style|\.style\b" ./*.js
}

@test "HTTP: beyond loopback no person is named" {
    unshare -rn ip link set lo up 2> /dev/null || skip "no network namespace of one's own here"
    for address in 0.0.0.0 127.0.0.1; do
        unshare -rn bash -euc '
            ip link set lo up
            "$FLUENZR_BIN/deskd" "$D/coordinator" "ipc://$D/ns.sock" "" "$1:0" > "$D/ns-port" 3>&- &
            trap "kill $!" EXIT
            for _ in $(seq 100); do [ -s "$D/ns-port" ] && break; sleep 0.1; done
            url=http://127.0.0.1:$(cat "$D/ns-port")
            id=$(curl -s "$url/api/v1/accounts" | jq -r ".items[0].id")
            exchange=$(curl -s "$url/api/v1/exchanges" | jq -r ".items[0].id")
            for path in "" api/v1/status api/v1/alerts api/v1/nodes api/v1/accounts api/v1/plan \
                "api/v1/stats?by=account" api/v1/exchanges "api/v1/accounts/$id" \
                "api/v1/accounts/$id/why" "api/v1/plan?account=$id" "api/v1/exchanges/$exchange" metrics; do
                curl -sf "$url/$path"
            done' - "$address" > "$D/said.$address"
    done
    grep -q 'ann@alpha.test' "$D/said.127.0.0.1"
    run ! grep -E 'ann@|bob@|cleo@|"Alpha"|"Beta"' "$D/said.0.0.0.0"
    grep -q 'alpha.test' "$D/said.0.0.0.0"
}

@test "an identity whose parts do not belong together is refused by name" {
    make_network "$D/other"
    cp -r "$D/coordinator" "$D/mixed"
    for file in issuer.cert issuer.sign coordinator.curve; do
        cp "$D/other/coordinator/$file" "$D/mixed/$file"
        run -78 "$FLUENZR_BIN/deskd" "$D/mixed" "ipc://$D/m.sock"
        [[ $output == *"issuer.cert"* ]]
        cp "$D/coordinator/$file" "$D/mixed/$file"
    done
    cp "$D/admin/admin.cert" "$D/mixed/issuer.cert"
    run -78 "$FLUENZR_BIN/deskd" "$D/mixed" "ipc://$D/m.sock"
    [[ $output == *"not an issuer's certificate"* ]]
    cp "$D/coordinator/issuer.cert" "$D/mixed/issuer.cert"
    for file in issuer.sign coordinator.curve network.key persons.key; do
        chmod 640 "$D/mixed/$file"
        run -78 "$FLUENZR_BIN/deskd" "$D/mixed" "ipc://$D/m.sock"
        [[ $output == *"$file"* ]]
        chmod 600 "$D/mixed/$file"
    done
    rm "$D/mixed/network.key"
    run -78 "$FLUENZR_BIN/deskd" "$D/mixed" "ipc://$D/m.sock"
    [[ $output == *"fluenzrctl init"*"network.key"* ]]
}
