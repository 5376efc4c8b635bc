# A headless Chromium, driven over a pipe (its DevTools protocol: JSON that ends in a NUL byte).
#
#   browser_start DIR        starts one with a profile of its own below DIR; 77 when there is none
#   browser_open URL         goes there and waits until the page is loaded
#   browser_eval EXPRESSION  prints what it is, as JSON; waits for promises
#   browser_wait EXPRESSION  until it is true; 1 after 15 s
#   browser_size W H [SCHEME [OFFLINE]]   the window, "light" or "dark"
#   browser_picture FILE     a PNG of the whole page
#   browser_faults           what the page did wrong so far: exceptions, console errors, refusals by
#                            the content security policy; one a line
#   browser_stop
#
# The caller runs under set -u; jq is needed.

BROWSER_PID=

browser_program() {
    command -v chromium || command -v chromium-browser || command -v google-chrome
}

browser_start() {
    local dir=$1 program
    program=$(browser_program) || return 77
    mkfifo -- "$dir/to-browser" "$dir/from-browser"
    BROWSER_DIR=$dir BROWSER_SESSION=''
    : >"$dir/events"
    "$program" --headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync \
        --disable-background-networking --disable-component-update --disable-default-apps \
        --disable-extensions --disable-dev-shm-usage --no-proxy-server --hide-scrollbars --lang=en \
        --user-data-dir="$dir/profile" --remote-debugging-pipe about:blank \
        3<"$dir/to-browser" 4>"$dir/from-browser" >"$dir/browser.log" 2>&1 &
    BROWSER_PID=$!
    exec {BROWSER_TO}>"$dir/to-browser" {BROWSER_FROM}<"$dir/from-browser"
    local target
    target=$(browser_call Target.createTarget '{"url":"about:blank"}' | jq -r .targetId)
    BROWSER_SESSION=$(browser_call Target.attachToTarget "{\"targetId\":\"$target\",\"flatten\":true}" |
        jq -r .sessionId)
    [[ -n $BROWSER_SESSION && $BROWSER_SESSION != null ]] || return 1
    local domain
    for domain in Page Runtime Log Network; do
        browser_call "$domain.enable" >/dev/null || return 1
    done
}

# browser_call METHOD [PARAMETERS]: prints the result; what else arrives meanwhile is kept as events.
# The number is taken from the clock, since this often runs in a subshell.
browser_call() {
    local parameters=${2:-'{}'} id message session=''
    id=$(($(date +%s%N) % 1000000000))
    [[ -z $BROWSER_SESSION ]] || session=",\"sessionId\":\"$BROWSER_SESSION\""
    printf '{"id":%d,"method":"%s","params":%s%s}\0' "$id" "$1" "$parameters" "$session" >&"$BROWSER_TO"
    while IFS= read -r -d '' -t 20 -u "$BROWSER_FROM" message; do
        if [[ $message == "{\"id\":$id,"* ]]; then
            jq -ce 'if .error then error(.error.message) else .result end' <<<"$message"
            return
        fi
        printf '%s\n' "$message" >>"$BROWSER_DIR/events"
    done
    echo "browser: no answer to $1" >&2
    return 1
}

browser_eval() {
    local answer
    answer=$(browser_call Runtime.evaluate "$(jq -nc --arg e "$1" \
        '{expression: $e, awaitPromise: true, returnByValue: true}')") || return 1
    jq -ce 'if .exceptionDetails then error(.exceptionDetails.exception.description) else .result.value end' \
        <<<"$answer" || [[ $? == 1 ]]
}

browser_wait() {
    local i
    for ((i = 0; i < 100; i++)); do
        [[ $(browser_eval "Boolean($1)") != true ]] || return 0
        sleep 0.15
    done
    return 1
}

browser_open() {
    browser_call Page.navigate "$(jq -nc --arg u "$1" '{url: $u}')" >/dev/null &&
        browser_wait 'document.readyState === "complete"'
}

browser_size() {
    browser_call Emulation.setDeviceMetricsOverride \
        "{\"width\":$1,\"height\":$2,\"deviceScaleFactor\":1,\"mobile\":false}" >/dev/null
    browser_call Emulation.setEmulatedMedia \
        "{\"features\":[{\"name\":\"prefers-color-scheme\",\"value\":\"${3:-light}\"}]}" >/dev/null
}

browser_picture() {
    browser_call Page.captureScreenshot '{"format":"png","captureBeyondViewport":true}' |
        jq -r .data | base64 -d >"$1"
}

browser_faults() {
    browser_eval 1 >/dev/null # brings in what is on its way
    jq -r 'select(.method == "Runtime.exceptionThrown") | .params.exceptionDetails |
            "exception: \(.text) \(.exception.description // "")"' "$BROWSER_DIR/events"
    jq -r 'select(.method == "Runtime.consoleAPICalled" and (.params.type | test("error|assert|warning"))) |
            "console: \([.params.args[].value] | map(tostring) | join(" "))"' "$BROWSER_DIR/events"
    jq -r 'select(.method == "Log.entryAdded" and .params.entry.level == "error") | .params.entry |
            "log: \(.text) \(.url // "")"' "$BROWSER_DIR/events"
}

browser_stop() {
    [[ -n $BROWSER_PID ]] || return 0
    browser_call Browser.close >/dev/null 2>&1
    kill "$BROWSER_PID" 2>/dev/null
    wait "$BROWSER_PID" 2>/dev/null
    BROWSER_PID=
}
