"""Python's client of POP3 reads a mailbox: client.py PORT AUTHORITY

It takes TLS by STLS, prints what it gets, and removes the first message.
"""
import poplib
import ssl
import sys

port, authority = int(sys.argv[1]), sys.argv[2]
box = poplib.POP3("127.0.0.1", port, timeout=20)
print(box.getwelcome().decode())
print("STLS" in box.capa(), "USER" in box.capa())
box.stls(context=ssl.create_default_context(cafile=authority))
print("STLS" in box.capa(), "USER" in box.capa())
box.user("ann")
print(box.pass_("secret word").decode())
print(*box.stat())
print(*(line.decode() for line in box.list()[1]))
uids = [line.decode().split()[1] for line in box.uidl()[1]]
for number in range(1, len(uids) + 1):
    _, lines, size = box.retr(number)
    print(number, size, b"|".join(lines).decode())
print(b"|".join(box.top(2, 1)[1]).decode())
box.dele(1)
print(box.quit().decode())

box = poplib.POP3("127.0.0.1", port, timeout=20)
box.stls(context=ssl.create_default_context(cafile=authority))
box.user("ann")
box.pass_("secret word")
print([line.decode().split()[1] for line in box.uidl()[1]] == uids[1:])
box.quit()
