require ["fileinto", "mailbox"];
# No folder of this layout carries a special use.
if header :is "X-Spam" "Yes" { fileinto "Courrier indésirable"; stop; }
