require ["fileinto", "special-use", "mailbox"];
if header :is "X-Spam" "Yes" { fileinto :specialuse "\\Junk" "Junk Email"; stop; }
