"""What bench_visit compares with: the same visits by Python's imaplib, a process for each session.

    visits.py PORT CA_FILE PASSWORD PREFIX SESSIONS VISITS short|whole

Prints wall seconds and CPU seconds of all sessions; starting the interpreters is left out.
"""
import imaplib
import multiprocessing
import resource
import ssl
import sys
import time

FIELDS = "(UID FLAGS BODY.PEEK[HEADER.FIELDS (Message-ID X-FluenzR From To Subject Date)])"


def fine(answer):
    kind, data = answer
    if kind != "OK":
        raise SystemExit(f"visits.py: the server said {kind} {data}")
    return data


def find(imap, message_id):
    return fine(imap.uid("SEARCH", "HEADER", "Message-ID", message_id))[0].decode()


def read(imap, uid, message_id):
    if message_id.encode() not in fine(imap.uid("FETCH", uid, FIELDS))[0][1]:
        raise SystemExit("visits.py: another message was found")


def open_session(context, port, password, name):
    imap = imaplib.IMAP4_SSL("localhost", port, ssl_context=context)
    fine(imap.login(name, password))
    return imap


def visit_short(imap, message_id):
    """The least that does it: nothing is read again."""
    fine(imap.select("INBOX"))
    uid = find(imap, message_id)
    read(imap, uid, message_id)
    fine(imap.uid("STORE", uid, "+FLAGS", r"(\Seen)"))
    if imap.uid("MOVE", uid, "FluenzR")[0] != "OK":
        fine(imap.create("FluenzR"))
        fine(imap.uid("MOVE", uid, "FluenzR"))


def visit_whole(imap, message_id):
    """The engine's steps: looks where else it may lie, and reads again what was done."""
    fine(imap.namespace())
    if b"FluenzR" not in b" ".join(fine(imap.list())):
        fine(imap.create("FluenzR"))
    fine(imap.select("INBOX", readonly=True))
    uid = find(imap, message_id)
    read(imap, uid, message_id)
    for folder in ("Junk", "FluenzR"):
        if fine(imap.select(folder, readonly=True))[0] != b"0" and find(imap, message_id):
            raise SystemExit("visits.py: the message lies in two folders")
    fine(imap.select("INBOX"))
    fine(imap.uid("STORE", uid, "+FLAGS", r"(\Seen)"))
    if rb"\Seen" not in fine(imap.uid("FETCH", uid, "(FLAGS)"))[0]:
        raise SystemExit("visits.py: the flag did not stay")
    fine(imap.uid("MOVE", uid, "FluenzR"))
    if fine(imap.uid("FETCH", uid, "(FLAGS)"))[0]:
        raise SystemExit("visits.py: the message was not moved")
    fine(imap.select("FluenzR", readonly=True))
    read(imap, find(imap, message_id), message_id)


def session(number, port, ca, password, prefix, visits, visit, ready, cpu):
    context = ssl.create_default_context(cafile=ca)
    ready.wait()
    before = resource.getrusage(resource.RUSAGE_SELF)
    name = f"{prefix}{number}"
    for i in range(visits):
        imap = open_session(context, port, password, name)
        visit(imap, f"m{i}.{name}@b.test")
        imap.logout()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu.put(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def main():
    port, ca, password, prefix = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    sessions, visits = int(sys.argv[5]), int(sys.argv[6])
    visit = visit_short if sys.argv[7] == "short" else visit_whole
    ready, cpu = multiprocessing.Barrier(sessions + 1), multiprocessing.Queue()
    everyone = [
        multiprocessing.Process(
            target=session, args=(i, port, ca, password, prefix, visits, visit, ready, cpu)
        )
        for i in range(sessions)
    ]
    for one in everyone:
        one.start()
    ready.wait()
    start = time.monotonic()
    for one in everyone:
        one.join()
    wall = time.monotonic() - start
    if any(one.exitcode for one in everyone):
        raise SystemExit(1)
    print(wall, sum(cpu.get() for _ in everyone))


main()
