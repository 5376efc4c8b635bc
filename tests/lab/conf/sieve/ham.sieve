require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment", "variables"];
# Thrown away is not rescued.
if environment :is "imap.mailbox" ["Trash", "INBOX.Trash", "Deleted Items", "Corbeille"] { stop; }
if environment :matches "imap.user" "*" { set "user" "${1}"; }
pipe :copy "learn" ["ham", "${user}"];
