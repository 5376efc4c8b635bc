# accounts.awk - who lives in the lab.
#
#   kind=domains n=N        prints the first N domains
#   kind=all n=N accounts=M dir=DIR secrets=FILE smtp= smtps= imap= imaps= probes= layouts=
#                           writes DIR/{accounts,control,extra}.csv, DIR/extra/<case>.csv and
#                           DIR/mailboxes.new: address, password, layout, quota in bytes or "-"

function domain(i) {
    return i <= n_domains ? domains[i] : "societe-" i ".test"
}

# "atelier-nord.test" belongs to "Atelier Nord".
function owner(name,    words, m, k, out) {
    sub(/\.test$/, "", name)
    m = split(name, words, "-")
    for (k = 1; k <= m; k++)
        out = out (k > 1 ? " " : "") toupper(substr(words[k], 1, 1)) substr(words[k], 2)
    return out
}

function secret(    line) {
    if ((getline line < secrets) <= 0 || length(line) != 20) {
        print "lab: too few secrets" > "/dev/stderr"
        exit 1
    }
    return line
}

function mailbox(address, password, layout, quota) {
    printf "%s\t%s\t%s\t%s\n", address, password, layout, quota > (dir "/mailboxes.new")
}

function row(address, who, i, password, zone, language) {
    return address "," who ",smtp," \
        (i % 2 ? "smtps://127.0.0.1:" smtps : "smtp://127.0.0.1:" smtp) "," \
        (int(i / 2) % 2 ? "imap://127.0.0.1:" imap : "imaps://127.0.0.1:" imaps) "," \
        address "," password "," zone ",09:00-18:00,Mon-Sun,medium,new," language ",0"
}

# The j-th person of domain d; languages alternate.
function person(d, j,    k, first, last) {
    french = j % 2 == 0
    k = int(j / 2)
    if (french) {
        first = first_fr[1 + (k + d) % n_fr]
        last = last_fr[1 + (k * 7 + d * 3 + int(k / n_fr)) % n_fr]
    } else {
        first = first_en[1 + (k + d) % n_en]
        last = last_en[1 + (k * 7 + d * 3 + int(k / n_en)) % n_en]
    }
    return first "." last
}

# A case for fault tests: in extra.csv under its name, and alone in extra/<case>.csv.
function extra(name, address, layout, quota, wrong,    password, line, file) {
    password = secret()
    mailbox(address, password, layout, quota)
    line = row(address, owner(substr(address, index(address, "@") + 1)), n_extra++, \
        wrong ? "wrong-" substr(password, 1, 8) : password, "Europe/Paris", "fr")
    print name "," line > (dir "/extra.csv")
    file = dir "/extra/" name ".csv"
    print columns > file
    print line > file
    close(file)
}

BEGIN {
    n_domains = split("atelier-nord maison-verte northwind cafe-lumiere oakfield-press imprimerie-duval " \
        "harbour-lane vignes-du-sud bluebell-studio librairie-plume stonebridge menuiserie-leroy " \
        "copperleaf jardin-clair wren-and-co verrerie-astier fairway-travel boulangerie-marchand " \
        "larkspur-design atelier-calanque millbrook-farms cordonnerie-blanc penrose-optics " \
        "hotel-belvedere ashdown-legal fromagerie-alpine", domains, " ")
    for (i = 1; i <= n_domains; i++)
        domains[i] = domains[i] ".test"
    if (kind == "domains") {
        for (i = 1; i <= n; i++)
            print domain(i)
        exit
    }
    n_fr = split("camille louis nadia paul ines hugo claire marc lea antoine sophie julien manon thomas " \
        "elise bruno chloe nicolas margot victor amelie denis lucie remi pauline simon agathe yves celine", first_fr, " ")
    split("durand lefevre moreau girard roussel bonnet lambert fontaine rousseau vincent muller faure " \
        "mercier blanchard guerin boyer garnier chevalier francois legrand gauthier garcia perrin robin " \
        "clement morin nicolas henry masson", last_fr, " ")
    n_en = split("oliver grace henry alice tom ruth samuel jane edward lucy peter hannah george emma robert " \
        "claudia martin ellen walter rose arthur helen frank nora philip judith colin diana hugh", first_en, " ")
    split("brown taylor wilson evans walker wright robinson thompson green hall wood harris clarke jackson " \
        "turner hill scott cooper morris ward moore king watson baker harrison morgan allen james parker", last_en, " ")
    n_zones = split("Europe/Paris Europe/London Europe/Berlin Europe/Lisbon Europe/Athens", zones, " ")
    n_layouts = split(layouts, layout_of, " ")
    columns = "address,owner,provider,smtp,imap,user,password,timezone,hours,days,intensity,profile,language,volume"

    print columns > (dir "/accounts.csv")
    for (i = 0; i < accounts; i++) {
        d = i % n
        j = int(i / n)
        name = domain(d + 1)
        address = person(d, j) "@" name
        if (address in taken)
            address = person(d, j) (j + 1) "@" name
        taken[address] = 1
        password = secret()
        mailbox(address, password, layout_of[1 + d % n_layouts], "-")
        print row(address, owner(name), d + j, password, zones[1 + (d + 2 * j) % n_zones], french ? "fr" : "en") > (dir "/accounts.csv")
    }

    password = secret()
    mailbox("control@control.test", password, "std", "-")
    print columns > (dir "/control.csv")
    print row("control@control.test", "Control", 0, password, "Europe/Paris", "fr") > (dir "/control.csv")

    print "case," columns > (dir "/extra.csv")
    extra("google-mx", "jean.martin@domaine-google.test", "std", "-", 0)
    extra("google-cname", "paul.roux@relais-google.test", "std", "-", 0)
    extra("txt-deny", "anne.noel@refus-publie.test", "std", "-", 0)
    extra("role-address", "support@guichet.test", "std", "-", 0)
    extra("wrong-password", "marc.petit@motdepasse.test", "std", "-", 1)
    extra("over-quota", "lucie.morel@boite-pleine.test", "std", 65536, 0)
    extra("no-special-use", "thomas.caron@sans-attribut.test", "plain", "-", 0)

    for (i = 1; i <= probes; i++)
        mailbox(sprintf("p%02d@probe.test", i), secret(), "std", "-")
    for (i = 1; i <= n_layouts; i++)
        mailbox("reader@witness-" layout_of[i] ".test", secret(), layout_of[i], "-")
}
