# corpus.awk - writes messages that differ each time.
#
#   kind=neutral|ham|spam  n=COUNT  seed=S  from= to= id= date=   (one message to stdout when n is 1)
#   dir=DIR                                                        (DIR/<kind>-<i>.eml otherwise)
#
# ham and spam are what the filter is trained with before anyone warms anything; neutral is what a
# sender nobody knows writes in the proofs. All three are put together from parts, since rspamd
# learns the same text only once.

function pick(list,    part, m) {
    m = split(list, part, "|")
    return part[1 + int(rand() * m)]
}

function greet(fr) {
    return fr ? pick("Bonjour|Bonsoir|Salut|Chère équipe|Bonjour à tous") " " pick(names) "," \
              : pick("Hello|Hi|Dear|Good morning|Hello again") " " pick(names) ","
}

function close_line(fr) {
    return fr ? pick("Bien à vous|Cordialement|À bientôt|Merci d'avance|Bonne journée") "\n" pick(names) \
              : pick("Kind regards|Best wishes|Many thanks|Talk soon|Have a good day") "\n" pick(names)
}

function neutral_line(fr) {
    if (fr)
        return pick("Pouvez-vous me confirmer|Je voulais vous parler de|Nous avons relu|J'ai bien reçu|Merci pour|Avez-vous retrouvé|On m'a transmis|Je termine") " " \
            pick("le planning|la note|le compte rendu|le devis|la liste|la réunion|le plan|la commande|le dossier|la visite|le catalogue|la maquette|le calendrier|la livraison") " " \
            pick("de mardi|du printemps|de la semaine prochaine|pour l'atelier|du jardin|de l'entrepôt|pour les voisins|de la bibliothèque|du deuxième étage|pour la rentrée|de la cuisine|du marché") ", " \
            pick("et je vous réponds avant midi|si cela vous convient|sans urgence de notre côté|comme convenu au téléphone|il reste deux points à voir|tout semble en ordre|avec les corrections de Paul|dites-moi ce que vous en pensez|nous étions six autour de la table|la pluie nous a retardés") "."
    return pick("Could you confirm|I wanted to mention|We have read|I received|Thank you for|Did you find|Someone passed on|I am finishing") " " \
        pick("the schedule|the note|the minutes|the estimate|the list|the meeting|the floor plan|the order|the folder|the visit|the catalogue|the sketch|the calendar|the delivery") " " \
        pick("from Tuesday|for the spring|of next week|for the workshop|in the garden|from the warehouse|for the neighbours|of the library|on the second floor|for the new term|from the kitchen|of the market") ", " \
        pick("and I will answer before noon|if that suits you|with no hurry on our side|as we said on the phone|two points are left to look at|it all seems in order|with the corrections by Paul|tell me what you think|we were six around the table|the rain held us up") "."
}

function ham_line(fr) {
    if (fr)
        return pick("La facture|Le colis|Votre abonnement|Le procès-verbal|La sauvegarde|Le rapport|Le contrat|Le stock") " " \
            pick("numéro|référence|du lot|de l'exercice") " " int(1000 + rand() * 9000) " " \
            pick("est disponible|a été expédié|sera vérifié|reste en attente|a été archivé|part en relecture") " " \
            pick("au bureau|à Lyon|chez le comptable|au dépôt|sur le serveur|avec Nadia|à Nantes|dans le classeur bleu") "."
    return pick("The invoice|The parcel|Your subscription|The transcript|The backup|The report|The contract|The stock") " " \
        pick("number|reference|of lot|for the year") " " int(1000 + rand() * 9000) " " \
        pick("is available|has been shipped|will be checked|is still waiting|was archived|goes out for review") " " \
        pick("at the office|in Leeds|with the accountant|at the depot|on the server|with Nadia|in Bristol|in the blue binder") "."
}

function spam_line(fr) {
    if (fr)
        return pick("GAGNEZ|Offre limitée|Félicitations|Dernière chance|Argent facile|Crédit immédiat|Gratuit|Promotion") " " \
            pick("un million|casino en ligne|montre de luxe|pilules|loterie|bitcoin|remise de 90%|iPhone|héritage|prêt sans justificatif") " " \
            int(rand() * 100000) " EUR ! " \
            pick("Cliquez ici|Répondez maintenant|Sans engagement|Agissez vite|Réclamez votre prix|Stock épuisé ce soir|Garanti 100%") " " \
            pick("pour toucher votre gain|avant minuit|et doublez votre argent|sans frais|au casino royal|avec votre carte bancaire|par virement secret") "!!"
    return pick("WINNER|Limited offer|Congratulations|Last chance|Easy cash|Instant credit|Free money|Promotion") " " \
        pick("one million|online casino|luxury watches|cheap pills|lottery|bitcoin|90% discount|free iPhone|inheritance|unsecured loan") " " \
        int(rand() * 100000) " USD ! " \
        pick("Click here|Act now|No obligation|Hurry up|Claim your prize|Sold out tonight|100% guaranteed") " " \
        pick("to collect your winnings|before midnight|and double your money|risk free|at casino royal|with your credit card|by secret transfer") "!!"
}

# Unasked-for offers in the words of ordinary business: they keep the filter from taking every polite
# letter for ham before anyone has taught it so.
function pitch_line(fr) {
    if (fr)
        return pick("Je voulais vous parler de|Pouvez-vous me confirmer|Je me permets de revenir sur|Avez-vous retrouvé|Nous avons relu|Merci pour|On m'a transmis") " " \
            pick("votre site|notre offre|votre fiche|la note|le devis|votre budget|le dossier|la réunion|la liste|la commande") " " \
            pick("pour l'atelier|de la semaine prochaine|du printemps|de mardi|pour la rentrée|de votre secteur") ", " \
            pick("sans engagement de votre part|si cela vous convient|et je vous réponds avant midi|comme convenu au téléphone|dites-moi ce que vous en pensez|avec une remise de bienvenue|il reste deux places") "."
    return pick("I wanted to mention|Could you confirm|I am following up on|Did you find|We have read|Thank you for|Someone passed on") " " \
        pick("your website|our offer|your listing|the note|the estimate|your budget|the folder|the meeting|the list|the order") " " \
        pick("for the workshop|of next week|for the spring|from Tuesday|for the new term|in your sector") ", " \
        pick("with no obligation on your side|if that suits you|and I will answer before noon|as we said on the phone|tell me what you think|with a welcome discount|two places are left") "."
}

function line(fr) {
    if (kind == "spam")
        return rand() < PITCH ? pitch_line(fr) : spam_line(fr)
    return kind == "ham" && rand() >= KNOWN ? ham_line(fr) : neutral_line(fr)
}

function subject(fr) {
    if (kind == "spam")
        return fr ? pick("Vous avez gagné|Urgent|Offre exclusive|Votre prix") " " int(rand() * 10000) \
                  : pick("You have won|Urgent|Exclusive offer|Your prize") " " int(rand() * 10000)
    return fr ? pick("Point|Question|Suite|Note|Retour") " " pick("planning|visite|atelier|commande|jardin|dossier|courses|livraison") \
              : pick("About|Question|Follow-up|Note|Re") " " pick("schedule|visit|workshop|order|garden|folder|market|delivery")
}

function message(out, i,    fr, k, lines) {
    fr = rand() < .5
    names = fr ? "Camille|Louis|Nadia|Paul|Inès|Hugo|Claire|Marc" : "Oliver|Grace|Henry|Alice|Tom|Ruth|Sam|Jane"
    printf "From: %s\n", from ? from : kind i "@" pick("exemple|courrier|office|mailer") int(rand() * 300) ".example" > out
    printf "To: %s\nDate: %s\nMessage-ID: <%s>\n", to ? to : "corpus@lab.test", date, \
        id ? id : "corpus." kind "." i "." seed "@lab.test" > out
    printf "Subject: %s\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n", subject(fr) > out
    print greet(fr) "\n" > out
    lines = 3 + int(rand() * 4)
    for (k = 0; k < lines; k++)
        print line(fr) > out
    print "\n" close_line(fr) > out
}

BEGIN {
    # Shares of the lines that ham and spam have in common with ordinary letters. With these, rspamd
    # begins undecided about polite text, so that what recipients do can teach it.
    PITCH = .4
    KNOWN = .1
    srand(seed)
    if (n == 1) {
        message("/dev/stdout", 1)
        exit
    }
    for (j = 1; j <= n; j++) {
        message(dir "/" kind "-" j ".eml", j)
        close(dir "/" kind "-" j ".eml")
    }
}
