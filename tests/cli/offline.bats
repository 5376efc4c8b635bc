# fluenzrctl without any daemon.
load common.bash

setup()
{
    setup_dirs
}

@test "no command: the overview on stderr, exit 64" {
    run --separate-stderr -64 ctl
    [ -z "$output" ]
    [[ $stderr == *"usage: fluenzrctl"* && $stderr == *"account import"* ]]
}

@test "--help and help go to stdout, exit 0" {
    run --separate-stderr -0 ctl --help
    [[ $output == *"exit codes: 0 done"*"69 unreachable"* && -z $stderr ]]
    run -0 ctl help
    [[ $output == *"node invite NAME"* ]]
    run -0 ctl help node invite
    [[ $output == *"usage: fluenzrctl node invite NAME"*"--out FILE"* ]]
    run -0 ctl pause --help
    [[ $output == *"--reason TEXT"* && $output == *"provider/P"* ]]
}

@test "every command of the overview has help" {
    # Names are small letters; then come words like FILE.csv, or two spaces and the summary.
    while read -r -a name; do
        run -0 ctl "${name[@]}" --help
        [[ $output == "usage: fluenzrctl ${name[*]}"* ]]
    done < <(ctl help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\( [a-z]*\)\?\)\( [^a-z ].*\|  .*\)$/\1/p')
}

@test "the manual page is roff without warnings" {
    ctl help man > "$D/page"
    grep -q '^\.SH EXIT STATUS' "$D/page"
    if command -v man > /dev/null; then
        run -0 env LC_ALL=C.UTF-8 MANROFFSEQ='' man --warnings -E UTF-8 -l -Tutf8 -Z "$D/page"
        [[ $output != *"warning"* ]]
    fi
}

@test "completion is a script that completes" {
    ctl completion bash > "$D/complete"
    bash -n "$D/complete"
    run -0 bash -c "source $D/complete; COMP_WORDS=(fluenzrctl account i); COMP_CWORD=2; _fluenzrctl; echo \${COMPREPLY[@]}"
    [ "$output" = import ]
    run -0 bash -c "source $D/complete; COMP_WORDS=(fluenzrctl st); COMP_CWORD=1; _fluenzrctl; echo \${COMPREPLY[@]}"
    [ "$output" = "status stats" ]
    run -0 bash -c "source $D/complete; COMP_WORDS=(fluenzrctl pause network --re); COMP_CWORD=3; _fluenzrctl; echo \${COMPREPLY[@]}"
    [ "$output" = "--reason" ]
    run -64 ctl completion tcsh
}

@test "a slip is told with what was meant, exit 64" {
    run -64 ctl statsu
    [[ $output == *"there is no command 'statsu'"*"did you mean 'fluenzrctl stats'"* ]]
    run -64 ctl node lss
    [[ $output == *"did you mean 'fluenzrctl node ls'"* ]]
    run -64 ctl pause network --raeson x
    [[ $output == *"did you mean --reason"* ]]
    run -64 ctl node
    [[ $output == *"needs a second word"* ]]
}

@test "usage errors are exit 64 and say what is missing" {
    run -64 ctl node show
    [[ $output == *"'node show' needs NAME"* ]]
    run -64 ctl node show n1 n2
    [[ $output == *"one word too many"* ]]
    run -64 ctl status --timeout 10
    [[ $output == *"not a duration"* ]]
    run -64 ctl -o yaml status
    [[ $output == *"outputs: table, wide, json"* ]]
    run -64 ctl pause network
    [[ $output == *"needs --reason"* ]]
    run -64 ctl pause network --reason
    [[ $output == *"--reason needs a value"* ]]
    run -64 ctl stats --by day --by day
    [[ $output == *"given twice"* ]]
    run -64 ctl wait --for godot
    [[ $output == *"godot"* ]]
    run -64 ctl account ls --unready=yes
    [[ $output == *"takes no value"* ]]
}

@test "with -o json an error is one object on stderr" {
    run --separate-stderr -64 ctl node shwo -o json
    [ -z "$output" ]
    [ "$(jq -r .error.code <<< "$stderr")" = USAGE ]
    [ "$(wc -l <<< "$stderr")" -eq 1 ]
    jq -e '.error.message and .error.hint' <<< "$stderr"
}

@test "what is missing or too much is told with what there is" {
    run -64 ctl plan
    [[ $output == *"'plan' needs a second word: show"* ]]
    run -64 ctl account ls now
    [[ $output == *"'now' is one word too many"*"usage: fluenzrctl account ls"* ]]
}

@test "a coordinator that is not there: 69, and where it was looked for" {
    make_network "$D/net"
    export FLUENZR_ADMIN="$D/net/admin"
    run -69 ctl --timeout 1s status
    [[ $output == *"$D/net/c.sock: there is no such socket"*"systemctl status fluenzr-coordinator"* ]]
    run -64 ctl -e nonsense status
    [[ $output == *"nonsense: not an endpoint"*"ipc:///path"* ]]
    run -4 ctl --timeout 1s wait --for ready
    [[ $output == *"waited in vain: the coordinator does not answer"* ]]
}

@test "version" {
    run -0 ctl version
    [[ $output =~ ^fluenzrctl\ [0-9]+\.[0-9]+ ]]
    run -0 ctl version -o json
    [ "$(jq -r .kind <<< "$output")" = Version ]
    jq -e '.apiVersion == "fluenzr/v1" and .item.coordinator == null' <<< "$output"
}

@test "init makes three private folders, says what to do next, and what to move offline" {
    run -0 ctl init --dir "$D/net" --name acme --contact stop@acme.test
    [[ $output == *"Move this folder offline"* && $output == *"node invite NAME"* ]]
    for folder in root admin coordinator; do
        [ "$(stat -c %a "$D/net/$folder")" = 700 ]
    done
    run -0 bash -c "cd $D/net && find . -type f | sort"
    [ "$output" = "./admin/admin.cert
./admin/admin.sign
./admin/context.yaml
./coordinator/coordinator.curve
./coordinator/issuer.cert
./coordinator/issuer.sign
./coordinator/network.key
./coordinator/network.yaml
./coordinator/persons.key
./root/root.sign" ]
    [ -z "$(find "$D/net" -type f ! -perm 600)" ]
    # The root key is nowhere else.
    run ! grep -rlF "$(sed -n 2p "$D/net/root/root.sign")" "$D/net/admin" "$D/net/coordinator"
}

@test "init never overwrites, and begins nothing then" {
    make_network "$D/net"
    rm -r "$D/net/admin" "$D/net/coordinator"
    before=$(cat "$D/net/root/root.sign")
    run -1 ctl init --dir "$D/net" --name acme --contact stop@acme.test
    [[ $output == *"never overwrites"* ]]
    [ "$(cat "$D/net/root/root.sign")" = "$before" ]
    [ ! -e "$D/net/admin" ]
}

@test "init refuses what would not work" {
    run -64 ctl init --dir "$D/net" --name acme
    [[ $output == *"--contact"* ]]
    run -64 ctl init --dir "$D/net" --name acme --contact nobody
    [[ $output == *"not an address"* ]]
    run -64 ctl init --dir "$D/net" --name acme --contact a@b.test --nodes-endpoint 'tcp://*:7400'
    [[ $output == *"endpoint"* ]]
    run -64 ctl init --dir "$D/net" --name acme --contact a@b.test --days 0
    run -64 ctl init --dir "$D/net" --name "$(printf 'a\nb')" --contact a@b.test
    [ ! -e "$D/net" ]
}

@test "init takes a name with quotes and reads it back" {
    ctl -q init --dir "$D/net" --name 'the "lab" \ one' --contact a@b.test
    run -0 ctl -i "$D/net/admin" -o json key show
    [ "$(jq -r .item.network <<< "$output")" = 'the "lab" \ one' ]
}

@test "key show tells role, scope and validity" {
    make_network "$D/net" --days 10
    run -0 ctl -i "$D/net/admin" key show
    [[ $output == *"role              admin"* && $output == *"scope             network"* ]]
    run -0 env FLUENZR_ADMIN="$D/net/admin" "$FLUENZR_BIN/fluenzrctl" key show
}

@test "key certify makes an operator's folder, only with the right root" {
    make_network "$D/net"
    make_network "$D/other"
    run -0 ctl -i "$D/net/admin" key certify --root "$D/net/root" --role operator \
        --scope node/n1 --name jdoe --out "$D/jdoe"
    run -0 ctl -i "$D/jdoe" -o json key show
    jq -e '.item.role == "operator" and .item.scope == "node/n1"' <<< "$output"
    [ "$(stat -c %a "$D/jdoe")" = 700 ]
    run -1 ctl -i "$D/net/admin" key certify --root "$D/net/root" --role operator \
        --scope node/n1 --name jdoe --out "$D/jdoe"
    [[ $output == *"never overwritten"* ]]
    run -1 ctl -i "$D/net/admin" key certify --root "$D/other/root" --role viewer \
        --scope owner/acme --name x --out "$D/x"
    [[ $output == *"not the root key"* ]]
    run -64 ctl -i "$D/net/admin" key certify --root "$D/net/root" --role viewer \
        --scope node/n1 --name x --out "$D/x"
    [[ $output == *"does not fit the role"* ]]
    [ ! -e "$D/x" ]
}

@test "without an admin folder: exit 78, and how to get one" {
    run -78 ctl status
    [[ $output == *"not an admin folder"*"fluenzrctl init"* ]]
    run --separate-stderr -78 ctl -i "$D/nowhere" -o json status
    [ "$(jq -r .error.code <<< "$stderr")" = NO_CONTEXT ]
}

@test "a damaged admin folder is refused by name: exit 78" {
    make_network "$D/net"
    make_network "$D/other"
    chmod 644 "$D/net/admin/admin.sign"
    run -78 ctl -i "$D/net/admin" key show
    [[ $output == *"admin.sign"* ]]
    chmod 600 "$D/net/admin/admin.sign"
    cp "$D/other/admin/admin.cert" "$D/net/admin/admin.cert"
    run -78 ctl -i "$D/net/admin" key show
    [[ $output == *"admin.cert"* ]]
    make_network "$D/third"
    ctl -q -i "$D/third/admin" key certify --root "$D/third/root" --role admin --name two \
        --out "$D/two"
    cp "$D/two/admin.cert" "$D/third/admin/admin.cert"
    run -78 ctl -i "$D/third/admin" key show
    [[ $output == *"another key than admin.sign"* ]]
    echo 'colour: red' >> "$D/other/admin/context.yaml"
    run -78 ctl -i "$D/other/admin" key show
    [[ $output == *"context.yaml:"*"colour"* ]]
}

@test "nobody there: exit 69, and what to look at" {
    make_network "$D/net"
    run --separate-stderr -69 ctl -i "$D/net/admin" --timeout 1s status
    [ -z "$output" ]
    [[ $stderr == *"cannot reach the coordinator"*"$D/net/c.sock"*"systemctl status"* ]]
    run -69 ctl -i "$D/net/admin" --timeout 1s -e tcp://127.0.0.1:1 status
    run --separate-stderr -69 ctl -i "$D/net/admin" --timeout 1s -o json status
    [ "$(jq -r .error.code <<< "$stderr")" = UNREACHABLE ]
    run -4 ctl -i "$D/net/admin" --timeout 1s wait
    [[ $output == *"waited in vain"* ]]
}

@test "an endpoint that is none: exit 64" {
    make_network "$D/net"
    run -64 ctl -i "$D/net/admin" -e http://x status
    [[ $output == *"endpoint"* ]]
}

@test "import refuses a file that others can read, before anybody is asked" {
    printf 'address,password\na@b.test,secret\n' > "$D/a.csv"
    chmod 644 "$D/a.csv"
    run -77 ctl account import "$D/a.csv" --consent-by me
    [[ $output == *"chmod 600"* && $output != *secret* ]]
    chmod 600 "$D/a.csv"
    ln -s a.csv "$D/link.csv"
    run ctl account import "$D/link.csv" --consent-by me
    [ "$status" -eq 1 ] || [ "$status" -eq 77 ]
    run -1 ctl account import "$D/absent.csv" --consent-by me
    run -69 ctl account import "$D/a.csv" --consent-by me --node-endpoint "ipc://$D/node.sock" --timeout 1s
    [[ $output == *"cannot reach the node"*"fluenzr-node"* ]]
}

@test "import asks for consent, and knows what can be accepted" {
    printf 'address\n' > "$D/a.csv"
    chmod 600 "$D/a.csv"
    run -64 ctl account import "$D/a.csv"
    [[ $output == *"--consent-by NAME"* ]]
    run -64 ctl account import "$D/a.csv" --consent-by me --accept everything
    [[ $output == *"--accept ask"* ]]
}

@test "import refuses a file that is too large for one request" {
    head -c 1000000 /dev/zero | tr '\0' x > "$D/big.csv"
    chmod 600 "$D/big.csv"
    run -64 ctl account import "$D/big.csv" --consent-by me
    [[ $output == *"several files"* ]]
}

@test "add without a terminal says which option is missing; a password never stands in argv" {
    run -64 ctl account add ann@alpha.test --consent-by me < /dev/null
    [[ $output == *"needs --smtp"* ]]
    run -64 ctl account add ann@alpha.test --consent-by me --smtp smtps://h.test:465 \
        --imap imaps://h.test:993 < /dev/null
    [[ $output == *"--password-file"* ]]
    run -64 ctl account add ann@alpha.test --password secret
    [[ $output == *"no option --password"* ]]
    run -64 ctl account add nobody --consent-by me
    [[ $output == *"not an address"* ]]
    echo secret > "$D/pw"
    chmod 644 "$D/pw"
    run -77 ctl account add ann@alpha.test --consent-by me --smtp smtps://h.test:465 \
        --imap imaps://h.test:993 --password-file "$D/pw" < /dev/null
    [[ $output != *secret* ]]
}

@test "reauth speaks to the node alone, and takes an address" {
    run -64 ctl account reauth
    run -64 ctl account reauth nobody
    run -64 ctl account reauth ann@alpha.test --browser
    run --separate-stderr -69 ctl account reauth ann@alpha.test --node-endpoint "ipc://$D/node.sock" --timeout 1s
    [[ $stderr == *"cannot reach the node"* && -z $output ]]
}

@test "invites: names and durations are checked before anything else" {
    make_network "$D/net"
    run -64 ctl -i "$D/net/admin" node invite 'n 1'
    run -64 ctl -i "$D/net/admin" node invite n1 --for 90d
    touch "$D/token"
    run -1 ctl -i "$D/net/admin" node invite n1 --out "$D/token"
    [[ $output == *"not overwritten"* ]]
}

@test "plan preview reads as published: phases, bands, warming, advised prospecting" {
    run -0 ctl plan preview --from 2026-06-01 --for 28 -o json
    [ "$(jq -c '[.items[].warming]' <<< "$output")" = \
        "[5,6,7,7,8,8,9,9,10,10,12,15,16,17,18,18,19,19,20,20]" ]
    jq -e '.kind == "PlanPreview" and .items[0].date == "2026-06-01"
        and .items[5].date == "2026-06-08" and .items[9].phase == "start"
        and .items[9].prospecting == {low: 0, high: 0} and .items[10].phase == "ramp"
        and .items[10].band == {low: 15, high: 20}
        and .items[10].prospecting == {low: 20, high: 50}' <<< "$output"
    run -0 ctl plan preview --from 2026-06-06 --for 9
    [[ ${lines[0]} == DATE*DAY*PHASE*BAND*WARMING*PROSPECTING ]]
    [[ ${lines[1]} == 2026-06-08*1*start*5-10*5*0 && ${#lines[@]} -eq 6 ]]
    run -0 ctl plan preview --for 90
    [[ ${lines[-1]} == *maintain*" 20 "*50-100 ]]
}

@test "plan preview takes each profile, and warns of more prospecting than advised" {
    run -0 ctl plan preview --profile low_use --days Mon-Sun --from 2026-06-01 --for 10 -o json
    [ "$(jq -c '[.items[].warming]' <<< "$output")" = "[10,11,12,13,14,16,17,18,19,20]" ]
    run --separate-stderr -0 ctl plan preview --intensity 12 --profile existing --volume 30
    [[ $stderr == *"30 messages a day of its own are more than advised"*"(at first 6 "* ]]
    run --separate-stderr -0 ctl plan preview --profile existing --volume 5
    [ -z "$stderr" ]
}

@test "plan preview says what it cannot take" {
    run -64 ctl plan preview --intensity 41
    [[ $output == *"no intensity '41'"*"1 to 40"* ]]
    run -64 ctl plan preview --profile old
    [[ $output == *"no profile 'old'"*"low_use"* ]]
    run -64 ctl plan preview --days Mo-Fr
    [[ $output == *"'Mo-Fr' is not a list of days"* ]]
    run -64 ctl plan preview --for 0
    [[ $output == *"from 1 to 366"* ]]
    run -64 ctl plan preview --from tomorrow
    [[ $output == *"not a date"* ]]
}

@test "plan preview leaves holidays and blackouts out" {
    run -0 ctl plan preview --from 2026-05-04 --for 14 --holidays FR --blackout 2026-05-12 -o json
    [ "$(jq -c '[.items[].date[8:]]' <<< "$output")" = \
        '["04","05","06","07","11","13","15"]' ]
    jq -e '[.items[].warming] == [5,6,7,7,8,8,9] and [.items[].received] == [7,9,10,10,10,10,10]
        and .profile.profile == "new" and (.profile.source | test("Tipimail"))' <<< "$output"
    run -64 ctl plan preview --holidays XX
    [[ $output == *"no calendar of holidays of 'XX'"*"FR"* ]]
    run -64 ctl plan preview --blackout 2027-01-02..2026-12-24
    [[ $output == *"is no range of dates"* ]]
}

@test "plan profiles: each with what it is for and its source" {
    run -0 ctl plan profiles -o json
    jq -e '.kind == "ProfileList" and [.items[].profile] == ["new","existing","low_use","recovery"]
        and [.items[].sendingDays] == [20,20,10,25] and .items[3].atMost == 30
        and all(.items[]; (.source | length) > 20 and (.text | length) > 20)' <<< "$output"
    run -0 ctl plan profiles
    [[ ${lines[0]} == PROFILE*DAYS*"AT MOST"*SOURCE* && ${#lines[@]} -eq 5 ]]
}

@test "plan ramp: 20 at first, a quarter more each sending day, the engaged first" {
    run --separate-stderr -0 ctl plan ramp --domain acme.example --target 60 --from 2026-06-01 \
        --for 14 -o json
    [ "$(jq -c '[.items[].messages]' <<< "$output")" = "[20,25,31,38,47,58,60,60,60,60]" ]
    jq -e '.kind == "PlanRamp" and .domain == "acme.example" and .items[5].date == "2026-06-08"
        and .table.name == "steady" and (.table.source | test("Tipimail"))
        and (.advice | length) == 3
        and (.items[0].audience | test("30 days")) and (.items[9].audience | test("90 days"))' \
        <<< "$output"
    run --separate-stderr -0 ctl plan ramp --target 60 --sent 50 --days Mon --for 21
    [[ ${lines[1]} == *" 60 "* && $stderr == *"table steady"*"SPF, DKIM and DMARC"*"begin again" ]]
    run --separate-stderr -0 ctl plan ramp --target 5000 --for 7
    [[ $stderr == *"one-click unsubscription"*"5000 messages a day are not reached"* ]]
    run -64 ctl plan ramp
    [[ $output == *"needs --target N"* ]]
    run -64 ctl plan ramp --target 0
    [[ $output == *"from 1 to 1000000"* ]]
    run -64 ctl plan ramp --target 5 --domain 'a b'
    [[ $output == *"is not a domain"* ]]
}

@test "plan ramp: other published tables, and none of ours" {
    run --separate-stderr -0 ctl plan ramp --table daily --target 3000 --from 2026-06-01 --for 10 \
        -o json
    [ "$(jq -c '[.items[].messages]' <<< "$output")" = "[50,100,250,500,1000,2500,3000,3000]" ]
    run --separate-stderr -0 ctl plan ramp --table stages --sent 6000 --target 9000 --days Mon \
        --for 28 --from 2026-06-01 -o json
    [ "$(jq -c '[.items[].messages]' <<< "$output")" = "[6500,8000,9000,9000]" ]
    run -64 ctl plan ramp --target 5 --table fast
    [[ $output == *"no table 'fast'"*"steady, daily, stages"* ]]
}

@test "simulate: a whole network's forecast, the same bytes for the same seed" {
    run --separate-stderr -0 ctl simulate --accounts 40 --days 4 --seed 3 -o json
    first=$output
    jq -e '.apiVersion == "fluenzr/v1" and .kind == "Forecast" and .accounts == 40 and .seed == 3
        and (.items | length) == 4 and .items[0].date == "2026-01-05"
        and .total.sent >= ([.items[].sent] | add) and .total.sent > 100
        and .phases.start.sent > 0 and .providers[0].taken > 0 and .partners.median > 2
        and (.total | [.inbox, .junk, .missing, .unobserved] | add) <= .total.sent
        and (.hash | test("^[0-9a-f]{32}$"))' <<< "$first"
    run --separate-stderr -0 env LC_ALL=C TZ=Asia/Tokyo "$FLUENZR_BIN/fluenzrctl" simulate --accounts 40 \
        --days 4 --seed 3 -o json
    [ "$output" = "$first" ]
    run -0 ctl simulate --accounts 40 --days 4 --seed 3 -q
    [ "$output" = "$(jq -r .hash <<< "$first")" ]
    run --separate-stderr -0 ctl simulate --accounts 40 --days 2
    [[ ${lines[0]} == DATE*ACCOUNTS*QUOTA*SHORT*SENT*JUNK* && ${lines[1]} == 2026-01-05* ]]
    [[ $output == *"PHASE"*"start"*"PROVIDER"*"smtp"*"partners"*"hash"* ]]
}

@test "simulate takes a scenario, and says where one is wrong" {
    printf 'pool:\n  accounts_per_domain: 1\nlanguages: {de: 1}\nproviders: {own: {}}\n' > "$D/s.yaml"
    run --separate-stderr -0 ctl simulate --accounts 20 --days 2 --scenario "$D/s.yaml" -o json
    jq -e '.providers[0].name == "own" and .total.sent > 0' <<< "$output"
    printf 'pool:\n  acounts_per_domain: 1\n' > "$D/s.yaml"
    run -78 ctl simulate --scenario "$D/s.yaml"
    [[ $output == *"s.yaml:2:"*"did you mean 'accounts_per_domain'"* ]]
    run -78 ctl simulate --scenario "$D/none.yaml"
    [[ $output == *"none.yaml"* ]]
    run -78 ctl simulate --scenario "$D/none.yaml" -o json
    jq -e '.error.code == "SCENARIO"' <<< "$output"
}

@test "simulate says what it cannot take, and who has nobody to write to" {
    for bad in '--accounts 1' '--accounts 1000001' '--accounts many' '--days 0' '--days 367' '--seed -1'; do
        # shellcheck disable=SC2086
        run -64 ctl simulate $bad
        [[ $output == *"is not a number from"* ]]
    done
    run -64 ctl simulate --accounts 1000000 --days 366
    [[ $output == *"account-days"* ]]
    printf 'pool: {big_domain_percent: 100}\n' > "$D/s.yaml"
    run --separate-stderr -0 ctl simulate --accounts 30 --days 2 --scenario "$D/s.yaml"
    [[ $stderr == *"30 of 30 accounts never have anybody to write to"* ]]
}

@test "simulate ends at once when it is interrupted" {
    "$FLUENZR_BIN/fluenzrctl" simulate --accounts 20000 --days 300 > "$D/out" 2> "$D/err" &
    pid=$!
    sleep 1
    kill -INT $pid
    code=0
    wait $pid || code=$?
    [ $code -eq 1 ]
    grep -q interrupted "$D/err"
    [ ! -s "$D/out" ]
}
