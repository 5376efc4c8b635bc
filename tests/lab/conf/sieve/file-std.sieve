require ["fileinto", "special-use", "mailbox"];
# The verdict is rspamd's; the folder is whichever the account calls its Junk.
if header :is "X-Spam" "Yes" { fileinto :specialuse "\\Junk" "Junk"; stop; }
