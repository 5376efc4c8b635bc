# ledger.awk - the coordinator's ledger against what lies in the mailboxes.
#
#   awk -F'\t' -v network=ID -f ledger.awk LEDGER MAILBOXES
#
# LEDGER: exchange, turn, from, to, what became of the message ("inbox", "missing", "rejected" …).
# MAILBOXES: account, folder, Message-ID, X-FluenzR, from, to, flags, as tests/lab/dump prints them.
#
# Agreement is: every message that the ledger calls sent or found lies exactly once in its recipient's
# mailbox and in nobody else's; every network message in a mailbox is one that the ledger knows as
# sent, between these two; no Message-ID stands twice in a mailbox. Of a message whose end nobody could
# see ("unobserved", "ambiguous", "indeterminate") the ledger claims nothing, and either is right.
# Exit 1 and a line for each difference otherwise.

function differ(text) {
    differences++
    if (differences <= 40)
        print "difference: " text
}

# The value of "key=" in an X-FluenzR header, "" if it is not there.
function value_of(header, key,    parts, n, i, part) {
    n = split(header, parts, ";")
    for (i = 1; i <= n; i++) {
        part = parts[i]
        gsub(/[ \t]/, "", part)
        if (index(part, key "=") == 1)
            return substr(part, length(key) + 2)
    }
    return ""
}

FILENAME == ARGV[1] {
    state[$1 SUBSEP $2] = $5
    from[$1 SUBSEP $2] = tolower($3)
    to[$1 SUBSEP $2] = tolower($4)
    count[$5]++
    next
}

$4 == "-" || value_of($4, "net") != network {
    next
}

{
    account = tolower($1)
    key = value_of($4, "x") SUBSEP value_of($4, "n")
    name = "exchange " value_of($4, "x") " message " value_of($4, "n")
    if ($3 != "-" && seen[account SUBSEP $3]++)
        differ($3 " stands twice in the mailbox of " account)
    # A copy in the sender's own mailbox is a copy, not a delivery.
    if (account == tolower($5) && account != tolower($6))
        next
    if (!(key in state)) {
        differ(name ": in the mailbox of " account ", unknown to the ledger")
        next
    }
    if (account != to[key] || tolower($6) != to[key] || tolower($5) != from[key])
        differ(name ": from " $5 " to " $6 " in the mailbox of " account ", but the ledger says " \
            from[key] " to " to[key])
    found[key]++
}

END {
    for (key in state) {
        split(key, part, SUBSEP)
        name = "exchange " part[1] " message " part[2] " (" from[key] " to " to[key] ")"
        delivered = state[key] ~ /^(inbox|junk|other|found|sent)$/
        open = state[key] ~ /^(unobserved|ambiguous|indeterminate)$/
        if (delivered || (open && found[key]))
            messages++
        if (found[key] > 1)
            differ(name ": " found[key] " times in the mailbox")
        if (delivered && !found[key])
            differ(name ": " state[key] " says the ledger, but it is in no mailbox")
        if (!delivered && !open && found[key])
            differ(name ": " state[key] " says the ledger, but it is in the mailbox")
    }
    if (differences) {
        print "ledger and mailboxes differ: " differences " differences, " messages + 0 " messages"
        exit 1
    }
    print "ledger and mailboxes agree: " messages + 0 " messages"
}
