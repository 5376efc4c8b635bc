require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment", "variables", "imap4flags"];
# Only flags that were set count, not those that were taken away.
set "flags" "";
if allof (environment :contains "imap.changedflags" "\\Seen", hasflag "\\Seen") {
  set "flags" "\\Seen";
}
if allof (environment :contains "imap.changedflags" "\\Answered", hasflag "\\Answered") {
  set "flags" "${flags} \\Answered";
}
if string :is "${flags}" "" { stop; }
if environment :matches "imap.user" "*" { set "user" "${1}"; }
pipe :copy "learn" ["flag", "${user}", "${flags}"];
