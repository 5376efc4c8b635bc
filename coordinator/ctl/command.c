/* The one table: parsing, help, the manual page and completion are made of it. */
#include "coordinator/ctl/ctl.h"

static const struct ctl_option global_options[] = {
    {"output", "table|wide|json", "-o: form of the data on stdout"},
    {"quiet", NULL, "-q: names only; no talk"},
    {"endpoint", "ENDPOINT", "-e: ipc:///path or tcp://host:port"},
    {"identity", "ADMIN_DIR", "-i: admin folder (also $FLUENZR_ADMIN)"},
    {"timeout", "10s", "how long to wait for an answer"},
    {"no-color", NULL, "no colours (also $NO_COLOR)"},
    {"help", NULL, "-h: help for the command"},
    {NULL, NULL, NULL},
};

#define END                                                                                        \
    {                                                                                              \
        NULL, NULL, NULL                                                                           \
    }

static const struct ctl_option init_options[] = {
    {"dir", "DIR", "where the folders root, admin and coordinator are made"},
    {"name", "NAME", "the network's name"},
    {"contact", "ADDRESS", "how recipients make it stop; stands in each message"},
    {"nodes-endpoint", "tcp://HOST:7400", "the coordinator, as nodes reach it"},
    {"enrol-endpoint", "tcp://HOST:7401", "the same for nodes that enrol"},
    {"admin-endpoint", "ENDPOINT", "default ipc:///run/fluenzr/coordinator.sock"},
    {"days", "400", "how long the certificates last"},
    END,
};

static const struct ctl_option wait_options[] = {
    {"for", "ready|idle", "all nodes connected and all accounts ready; or no open task"},
    END,
};

static const struct ctl_option version_options[] = {
    {"coordinator", NULL, "ask the coordinator for its version, too"},
    END,
};

static const struct ctl_option invite_options[] = {
    {"out", "FILE", "write the token there (0600) instead of to stdout"},
    {"for", "24h", "how long the invite lasts, 30 days at most"},
    END,
};

static const struct ctl_option yes_options[] = {{"yes", NULL, "do not ask"}, END};

#define NODE_ENDPOINT_OPTION                                                                       \
    {                                                                                              \
        "node-endpoint", "ENDPOINT", "the node's socket (also -e); default " CTL_NODE_ENDPOINT     \
    }

static const struct ctl_option retry_options[] = {NODE_ENDPOINT_OPTION, END};

static const struct ctl_option release_options[] = {
    {"yes", NULL, "do not ask"},
    NODE_ENDPOINT_OPTION,
    END,
};

#define CONSENT_OPTIONS                                                                            \
    {"consent-by", "NAME", "who gave the owners' consent (required)"},                             \
        {"consent-until", "DATE", "when it ends; default 180 days from now"},                      \
        {"consent", "LIST", "what it covers; default send,open,reply,move; also: delete"},         \
        {"accept", "ask", "you have the mail provider's permission where its policy asks"},        \
        {"dry-run", NULL, "check everything, change nothing"}, NODE_ENDPOINT_OPTION

static const struct ctl_option import_options[] = {CONSENT_OPTIONS, END};

static const struct ctl_option add_options[] = {
    CONSENT_OPTIONS,
    {"password-file", "FILE", "a file (0600) with the password"},
    {"device", NULL, "Microsoft 365: sign in by a code typed in elsewhere, not by a browser"},
    {"owner", "NAME", "person or company; default: the domain"},
    {"provider", "NAME", "default: found by the servers"},
    {"smtp", "URL", "smtps://host:465 or smtp://host:587 (STARTTLS)"},
    {"imap", "URL", "imaps://host:993 or imap://host:143 (STARTTLS)"},
    {"user", "NAME", "default: the address"},
    {"timezone", "ZONE", "Europe/Paris"},
    {"hours", "08:00-18:00", "when it may send"},
    {"days", "Mon-Fri", "on which days"},
    {"intensity", "low|medium|high", "10, 20 or 30 messages a day in the end"},
    {"profile", "new|existing|low_use|recovery", "where the account comes from"},
    {"language", "en|fr", "of its conversations"},
    {"volume", "N", "the owner's own messages a day"},
    {"holidays", "COUNTRY",
     "FR, DE, US …: the country whose public holidays it keeps; default none"},
    END,
};

static const struct ctl_option set_options[] = {
    {"timezone", "ZONE", "Europe/Paris"},
    {"hours", "08:00-18:00", "when it may send"},
    {"days", "Mon-Fri", "on which days"},
    {"intensity", "low|medium|high|N", "10, 20, 30 or N messages a day in the end"},
    {"profile", "new|existing|low_use|recovery", "another one begins its climb anew"},
    {"language", "en|fr", "of its conversations"},
    {"volume", "N", "the owner's own messages a day"},
    {"holidays", "COUNTRY|none", "FR, DE, US …: the country whose holidays it keeps"},
    {"blackout", "LIST", "dates on which its owner is away: 2026-12-24..2027-01-02,…; none"},
    {"node-endpoint", "ENDPOINT", "the node's socket; default " CTL_NODE_ENDPOINT},
    END,
};

static const struct ctl_option reauth_options[] = {
    {"device", NULL, "by a code typed in elsewhere, where the directory's policy allows that"},
    {"node-endpoint", "ENDPOINT", "the node's socket; default " CTL_NODE_ENDPOINT},
    END,
};

static const struct ctl_option account_ls_options[] = {
    {"node", "NAME", "of one node"},
    {"domain", "DOMAIN", "of one domain"},
    {"phase", "start|ramp|maintain|recovery", "of one phase"},
    {"health", "healthy|watch|throttled|quarantined|blocked", "in one state of health"},
    {"unready", NULL, "only those that cannot be written to"},
    {"node-endpoint", "ENDPOINT", "ask this node's socket, not the coordinator"},
    {"all", NULL, "released and removed ones, too"},
    END,
};

static const struct ctl_option account_why_options[] = {
    {"with", "ACCOUNT", "may it begin an exchange with this one?"},
    END,
};

static const struct ctl_option plan_options[] = {
    {"date", "DATE", "default: each account's own today"},
    END,
};

#define CALENDAR_OPTIONS                                                                           \
    {"days", "Mon-Fri", "its sending days"},                                                       \
        {"holidays", "COUNTRY", "FR, DE, US …: without that country's public holidays"},           \
        {"blackout", "LIST", "without these dates: 2026-12-24..2027-01-02,…"},                     \
        {"from", "DATE", "its first day; default today (UTC)"},                                    \
    {                                                                                              \
        "for", "60", "so many calendar days"                                                       \
    }

static const struct ctl_option preview_options[] = {
    {"profile", "new|existing|low_use|recovery", "where the account comes from; default new"},
    {"intensity", "low|medium|high|N", "10, 20, 30 or N messages a day in the end; default medium"},
    CALENDAR_OPTIONS,
    {"volume", "N", "the owner's own messages a day: warns where more than is advised"},
    END,
};

static const struct ctl_option ramp_options[] = {
    {"target", "N", "messages a day in the end (required)"},
    {"domain", "DOMAIN", "whose mail it is; asked for nowhere"},
    {"table", "steady|daily|stages", "which published table; default steady, the most careful"},
    {"sent", "N", "what the domain sends a day already; default 0"},
    CALENDAR_OPTIONS,
    END,
};

static const struct ctl_option simulate_options[] = {
    {"accounts", "1000", "how many take part, 2 to 1000000"},
    {"days", "30", "for how many days, 1 to 366"},
    {"seed", "1", "the same seed gives the same forecast, byte for byte"},
    {"scenario", "FILE", "a network that is not the usual one (YAML)"},
    END,
};

static const struct ctl_option exchange_ls_options[] = {
    {"account", "ACCOUNT", "of one account"},
    {"limit", "N", "the newest N; default 100"},
    {"all", NULL, "ended ones, too"},
    END,
};

static const struct ctl_option stats_options[] = {
    {"by", "day|account|towards|provider|domain|owner|node|scenario",
     "one line for each; default day"},
    {"csv", NULL, "all counters as CSV (RFC 4180), with a line of names"},
    {"days", "N", "the last N days; default 7"},
    {"from", "DATE", "first date"},
    {"to", "DATE", "last date; default today (UTC)"},
    {"account", "ACCOUNT", "of one account"},
    END,
};

static const struct ctl_option events_options[] = {
    {"follow", NULL, "-f: go on with what comes; a coordinator that restarts is waited for"},
    {"after", "SEQ", "those behind an event, oldest first: go on where one stopped"},
    {"limit", "N", "the newest N; default 100"},
    {"type", "TYPE", "only these: receipt, paused, joined …"},
    END,
};

static const struct ctl_option pause_options[] = {
    {"reason", "TEXT", "why; shown to others"},
    {"for", "2h", "ends by itself after this much network time"},
    END,
};

static const struct ctl_option alert_ls_options[] = {
    {"all", NULL, "silenced and resolved ones, too"},
    END,
};

static const struct ctl_option ack_options[] = {
    {"reason", "TEXT", "what you do about it; shown to others"},
    {"for", "2h", "silence it for so long"},
    END,
};

static const struct ctl_option reason_options[] = {{"reason", "TEXT", "why; shown to others"}, END};

static const struct ctl_option suppress_options[] = {
    {"reason", "TEXT", "why; shown to others"},
    {"kind", "operator|owner", "whose wish it is"},
    END,
};

static const struct ctl_option certify_options[] = {
    {"root", "DIR", "folder of the root key (root.sign)"},
    {"role", "admin|operator|viewer", "what its holder may do"},
    {"scope", "SCOPE", "network, node/NAME (operator) or owner/NAME (viewer)"},
    {"name", "NAME", "of its holder"},
    {"out", "DIR", "the new admin folder"},
    {"days", "400", "how long the certificate lasts"},
    END,
};

static const struct ctl_option verify_options[] = {
    {"aggregates", NULL, "hold stored days, tallies and standings against the log"},
    END,
};

static const struct ctl_option replay_options[] = {
    {"policy", "FILE", "lines \"key: value\" of another policy; default: as it was"},
    {"since", "DATE", "decisions before it are taken as they were; default: from the first"},
    END,
};

static const struct ctl_option prove_options[] = {
    {"out", "FILE", "write the proof there instead of to stdout"},
    END,
};

static const struct ctl_option check_options[] = {
    {"network", "ID", "the network's id; with --root no admin folder is needed"},
    {"root", "KEY", "the network's root public key"},
    END,
};

static const struct ctl_option backup_options[] = {
    {"keep", "N", "so many backups, this one among them; older ones are removed; default 7"},
    END,
};

#define TARGETS "Targets: network, node/N, provider/P, domain/D, account/A (id or address).\n"

static const struct ctl_command commands[] = {
    {"init", "", 0, 0, "make the keys of a new network",
     "Makes DIR/root (the root key: move it offline), DIR/admin (for fluenzrctl) and\n"
     "DIR/coordinator (for the coordinator). Never overwrites anything.\n\n"
     "  fluenzrctl init --dir /etc/fluenzr --name acme --contact postmaster@acme.example \\\n"
     "      --nodes-endpoint tcp://c1.acme.example:7400 --enrol-endpoint "
     "tcp://c1.acme.example:7401\n",
     init_options, cmd_init},
    {"status", "", 0, 0, "the network on one screen, problems last",
     "Exit code 1 when a problem keeps the network from working.\n", NULL, cmd_status},
    {"wait", "", 0, 0, "wait until the network is ready, or idle",
     "Waits 60 s, or --timeout. Exit code 4 when it was in vain.\n\n"
     "  fluenzrctl wait --for ready --timeout 2m\n",
     wait_options, cmd_wait},
    {"alert ls", "", 0, 0, "what people should look at, newest first",
     "What holds now is in 'status'; an alert is what held long enough. It stands in the log, and\n"
     "is over by itself when its cause is.\n",
     alert_ls_options, cmd_alert_ls},
    {"alert show", "NUMBER", 1, 1, "all about one alert", "", NULL, cmd_alert_show},
    {"alert ack", "NUMBER", 1, 1, "say that you look at it, or want to hear of it no more",
     "  fluenzrctl alert ack 12 --reason 'new disk is ordered' --for 2d\n", ack_options,
     cmd_alert_ack},
    {"node invite", "NAME", 1, 1, "make a one-time join token for a new node",
     "The invite is signed here, with the key of the admin folder; the coordinator records only\n"
     "the token's digest. Hand the token to the node's operator like a password.\n\n"
     "  fluenzrctl node invite n1 --out n1.token\n",
     invite_options, cmd_node_invite},
    {"node ls", "", 0, 0, "nodes and open invites", "", NULL, cmd_node_ls},
    {"node show", "NAME", 1, 1, "all about one node", "", NULL, cmd_node_show},
    {"node revoke", "NAME", 1, 1, "cut a node off for good",
     "What it may have sent is looked for; its accounts can be imported at another node. The\n"
     "revocation is signed here, with the key of the admin folder: every node checks it, and\n"
     "writes to none of that node's accounts again, whatever a coordinator asks.\n",
     yes_options, cmd_node_revoke},
    {"account import", "FILE.csv", 1, 1, "take accounts from a file, at this host's node",
     "Columns: address,owner,provider,smtp,imap,user,password,timezone,hours,days,intensity,\n"
     "profile,language,volume,holidays,blackout. The file must be 0600. Each row gets a verdict;\n"
     "the same row again changes what differs. Passwords stay at the node. Exit code 3 when some\n"
     "rows were refused.\n\n"
     "  fluenzrctl account import accounts.csv --consent-by 'J. Doe, contract 12' --dry-run\n",
     import_options, cmd_account_import},
    {"account add", "ADDRESS", 1, 1, "take one account, at this host's node",
     "Asks on the terminal for what is not given; the password is not shown. What DNS and the\n"
     "node's providers table know of the servers is shown and suggested; without a terminal it is\n"
     "only shown.\n",
     add_options,
     cmd_account_add},
    {"account set", "ADDRESS", 1, 1, "change when and how much it sends, at this host's node",
     "Up to four ranges of dates can be blackouts; holidays are those of the whole country. For\n"
     "such days nothing is planned, and its ramp stands still; what was to be sent on them "
     "already\n"
     "is withdrawn by its node.\n\n"
     "  fluenzrctl account set ann@acme.example --holidays FR --blackout 2026-12-24..2027-01-02\n",
     set_options, cmd_account_set},
    {"account retry", "ADDRESS", 1, 1, "log in once more, at this host's node",
     "After three refused logins a node waits for a person. This tries both servers now, with "
     "what\n"
     "is stored, and waits (--timeout, 60s) for what they say. Exit code 1 when the login failed, "
     "4\n"
     "when there is no result yet. A wrong password is corrected by importing the row again.\n",
     retry_options, cmd_account_retry},
    {"account test", "ADDRESS", 1, 1, "what works and what does not, at this host's node",
     "Stage by stage: DNS, access token, TCP, TLS with the certificate's issuer and end, EHLO, "
     "AUTH,\n"
     "MAIL and RSET, then IMAP with login, folders, Junk and quota; with times and the servers' "
     "own\n"
     "words. Nothing is sent and no mailbox is changed. Exit code 1 when a stage failed. A "
     "password\n"
     "that is wrong is wrong here, too: do not repeat it often, the server may lock the account.\n",
     retry_options, cmd_account_test},
    {"account filter", "ADDRESS", 1, 1, "rules for an owner who wants own ones",
     "Prints a Sieve script, and a rule of Outlook, that file the network's messages as they "
     "arrive.\n"
     "A message that is filed before the node saw it counts as neither inbox nor junk.\n",
     retry_options, cmd_account_filter},
    {"account release", "ADDRESS", 1, 1, "give an account up, at this host's node",
     "The node deletes its password. Its consent and history stay, and another node may take it;\n"
     "'account rm' ends the consent, too.\n",
     release_options, cmd_account_release},
    {"account reauth", "ADDRESS", 1, 1, "sign in (again) for an account of Microsoft 365",
     "Prints an address; whoever opens it in a browser signs in as the mailbox and lets the node\n"
     "use it. The browser may run elsewhere: paste the address of the page at which it ends, or\n"
     "forward the port that is named. The account keeps its id and its ramp. No token passes\n"
     "through this program. Run it on the node's host.\n",
     reauth_options, cmd_account_reauth},
    {"account ls", "", 0, 0, "accounts and their day", "", account_ls_options, cmd_account_ls},
    {"account show", "ACCOUNT", 1, 1, "all about one account (id or address)", "", NULL,
     cmd_account_show},
    {"account why", "ACCOUNT", 1, 1, "why it sends, or does not; or may write to one other",
     "With --with, rule by rule, why it may begin an exchange with that account, or not, and from\n"
     "when on.\n",
     account_why_options, cmd_account_why},
    {"account reachable", "ACCOUNT", 1, 1, "may it be written to, and by how many", "", NULL,
     cmd_account_reachable},
    {"account export", "ACCOUNT", 1, 1, "all that is held of it, as JSON", "", NULL,
     cmd_account_export},
    {"account clear", "ACCOUNT", 1, 1, "let its health hold it back no more",
     "For a person who has looked: after a provider's policy code nothing else lets it send\n"
     "again. What was seen until today is not held against it a second time.\n",
     NULL, cmd_account_clear},
    {"account rm", "ACCOUNT", 1, 1, "end its consent and remove it", "", yes_options,
     cmd_account_rm},
    {"account erase", "ACCOUNT", 1, 1, "remove it and erase its person",
     "Deletes the key that address, owner and consent are sealed under; counters stay under the\n"
     "account's id.\n",
     yes_options, cmd_account_erase},
    {"plan show", "[ACCOUNT]", 0, 1, "today's plan, or an account's messages",
     "Messages of conversations that have ended stand in 'exchange ls --account ACCOUNT --all'.\n",
     plan_options, cmd_plan_show},
    {"plan preview", "", 0, 0, "what warming would send, day by day, before anybody consents",
     "Asks no daemon. Each sending day: phase, its band, warming messages, and how much of the\n"
     "owner's own prospecting is advised besides. Days on which the pool carries less, or that\n"
     "are not met, move what follows back.\n\n"
     "  fluenzrctl plan preview --profile existing --intensity high --volume 40\n",
     preview_options, cmd_plan_preview},
    {"plan profiles", "", 0, 0, "how each kind of account is warmed, and by which source",
     "DAYS are sending days until it maintains its target, at five a week. Asks no daemon.\n", NULL,
     cmd_plan_profiles},
    {"plan ramp", "", 0, 0, "how a domain's real mail may grow, without any warming",
     "For domains that cannot be warmed here, Google's among them, and for campaigns: real mail "
     "to\n"
     "real recipients, the most engaged first, by a published table; no synthetic exchange. Asks "
     "no\n"
     "daemon, sends nothing. What must hold from day to day stands below the table.\n\n"
     "  fluenzrctl plan ramp --domain acme.example --target 500\n",
     ramp_options, cmd_plan_ramp},
    {"simulate", "", 0, 0, "foresee a whole network: volumes, placement, partners, shortfalls",
     "Asks no daemon, sends nothing: runs the coordinator's own core, task by task, under a\n"
     "virtual clock, with modelled accounts, nodes and mail providers. What providers do is a\n"
     "model of ours (OPERATING.md): the forecast shows what the rules make of a network, not\n"
     "what a real provider will think of it. Ctrl-C ends it; with -q the hash alone is\n"
     "printed. Without a scenario: companies with domains of 1 to 7 accounts, in four time\n"
     "zones, of two languages and at two providers.\n"
     "It looks at every task: some 10 s for 1000 accounts and 30 days, and in proportion.\n\n"
     "  fluenzrctl simulate --accounts 5000 --days 42 --seed 7\n"
     "  fluenzrctl simulate --scenario /usr/share/fluenzr/conf/scenario.yaml -o json | jq .total\n",
     simulate_options, cmd_simulate},
    {"exchange ls", "", 0, 0, "conversations, newest first", "", exchange_ls_options,
     cmd_exchange_ls},
    {"exchange show", "ID", 1, 1, "one conversation, task by task", "", NULL, cmd_exchange_show},
    {"stats", "", 0, 0, "counters by day, account, provider …",
     "'towards' is the recipients' provider, 'provider' the sender's and theirs. These and those\n"
     "behind them count what was sent, with the bounds (95 %) of the share in Junk. Days more\n"
     "than two weeks back are kept by the week there: only weeks within the dates count.\n\n"
     "  fluenzrctl stats --by towards --account ann@acme.example --days 14\n"
     "  fluenzrctl stats --by owner --from 2026-10-01 --csv > october.csv\n",
     stats_options, cmd_stats},
    {"events", "", 0, 0, "the log",
     "  fluenzrctl events -f -o json | jq 'select(.type==\"receipt\")'\n", events_options,
     cmd_events},
    {"audit verify", "", 0, 0, "hold the whole log against its hash chain",
     "Reads all events that are kept, archived ones too; the network works on meanwhile. Exit\n"
     "code 2 and the name of the first bad segment when one is missing or was changed. With\n"
     "-o json the head that it ends at comes signed, to be kept elsewhere.\n"
     "--aggregates folds the log from its first event once more, and holds days, tallies and\n"
     "standings, row by row, against a checkpoint of the store. It takes about as much memory as\n"
     "the coordinator itself; exit code 2 names the first row that differs.\n",
     verify_options, cmd_audit_verify},
    {"audit prove", "TASK|EVENT", 1, 1, "a proof that a receipt, or any event, is in the log",
     "TASK is a task's id, 32 hex digits: its receipt is proved; EVENT is an event's number. The\n"
     "proof is JSON: the event, its way to the hash chain, and the chain's head, signed by the\n"
     "coordinator. It names accounts by their ids, no address.\n\n"
     "  fluenzrctl audit prove 4711 --out receipt.json\n",
     prove_options, cmd_audit_prove},
    {"audit check", "FILE", 1, 1, "check a proof; no daemon is asked",
     "Needs the network's id and root key, of the admin folder or as 'key show' tells them. Exit\n"
     "code 2 when it proves nothing.\n",
     check_options, cmd_audit_check},
    {"backup create", "", 0, 0, "copy the coordinator's state while it works, and read the copy",
     "Made below the state folder (links: it takes hardly any room at first), opened as a start\n"
     "would, and its log walked. Copy it to another disk: with -q its path alone is printed. Put\n"
     "back, it begins a new generation of the log by itself. Exit code 2 when it is damaged.\n\n"
     "  backup=$(fluenzrctl -q backup create) && cp -a \"$backup\" /mnt/backup/\n",
     backup_options, cmd_backup_create},
    {"backup verify", "NAME", 1, 1, "read a backup again",
     "Of those below the coordinator's state folder. Exit code 2 when it is damaged.\n", NULL,
     cmd_backup_verify},
    {"pause", "TARGET", 1, 1, "stop a part of the network",
     TARGETS "\n  fluenzrctl pause domain/acme.example --reason 'DNS change' --for 2h\n",
     pause_options, cmd_pause},
    {"pause ls", "", 0, 0, "pauses in force", "", NULL, cmd_pause_ls},
    {"resume", "TARGET", 1, 1, "end a pause", TARGETS, reason_options, cmd_resume},
    {"suppress ls", "", 0, 0, "addresses that are not written to",
     "KIND says who put it there: operator or owner, by 'suppress add'; hard-bounce: a server "
     "said\n"
     "that the mailbox is not there; complaint: its user called a message spam.\n",
     NULL, cmd_suppress_ls},
    {"suppress add", "ADDRESS", 1, 1, "never write to an address", "", suppress_options,
     cmd_suppress_add},
    {"suppress export", "", 0, 0, "the list as CSV",
     "Addresses of members, and the digest of each: BLAKE2b-256 of an address, by which others "
     "can\n"
     "hold their own list against it. With -o json: the document of 'suppress ls'.\n\n"
     "  fluenzrctl suppress export >suppressed.csv\n",
     NULL, cmd_suppress_export},
    {"suppress rm", "ADDRESS", 1, 1, "take an address (or digest) off the list", "", NULL,
     cmd_suppress_rm},
    {"clock confirm", "", 0, 0, "the coordinator's clock is right: network time follows it",
     "After a step of more than an hour network time goes on without it, and 'status' says so\n"
     "(CLOCK_REFUSED). Set that host's clock right instead, if it is wrong: what is confirmed\n"
     "cannot be taken back, since network time never goes back.\n",
     yes_options, cmd_clock_confirm},
    {"policy ls", "", 0, 0, "the rules and their values", "", NULL, cmd_policy_ls},
    {"policy set", "KEY VALUE", 2, 2, "change a rule, within its bounds",
     "  fluenzrctl policy set same_owner_percent 20\n"
     "  fluenzrctl policy set spacing_ms 15m\n",
     NULL, cmd_policy_set},
    {"policy replay", "", 0, 0, "what another policy would have decided, by what was seen",
     "Folds the log once more and decides about health and closed days again, by the counters as\n"
     "they were: what would have been decided, not what would have come of it. Without --policy\n"
     "every decision comes out as it was recorded. Exit code 2 when some differ.\n\n"
     "  printf 'health_watch_percent: 5\\n' > stricter\n"
     "  fluenzrctl policy replay --policy stricter --since 2026-11-01\n",
     replay_options, cmd_policy_replay},
    {"key show", "", 0, 0, "the admin folder's key and certificate", "", NULL, cmd_key_show},
    {"key certify", "", 0, 0, "make an admin folder for somebody else, with the root key",
     "  fluenzrctl key certify --root /mnt/usb/root --role operator --scope node/n1 \\\n"
     "      --name 'J. Doe' --out ./jdoe\n",
     certify_options, cmd_key_certify},
    {"completion", "SHELL", 1, 1, "completion script for bash",
     "  fluenzrctl completion bash > /etc/bash_completion.d/fluenzrctl\n", NULL, cmd_completion},
    {"version", "", 0, 0, "versions", "", version_options, cmd_version},
    {"help", "[COMMAND]", 0, 2, "help; 'help man' prints the manual page", "", NULL, cmd_help},
};

const struct ctl_command *ctl_commands(size_t *ret_count)
{
    *ret_count = sizeof commands / sizeof *commands;
    return commands;
}

const struct ctl_option *ctl_global_options(void)
{
    return global_options;
}
