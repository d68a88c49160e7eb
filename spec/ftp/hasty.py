"""Uploads over TLS 1.3 as clients do that close without having read what the server has sent: HOST PORT BYTES."""
import ftplib
import select
import socket
import ssl
import sys

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.minimum_version = ssl.TLSVersion.TLSv1_3


def shake(conn, tls, incoming, outgoing):
    while True:
        try:
            tls.do_handshake()
            return conn.sendall(outgoing.read())
        except ssl.SSLWantReadError:
            conn.sendall(outgoing.read())
            incoming.write(conn.recv(65536))


def upload(ftp, size):
    ftp.putcmd("STOR x")
    conn = socket.create_connection(ftp.passive, 20)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    assert ftp.getresp()[:3] == "150"
    shake(conn, tls, incoming, outgoing)
    tls.write(b"x" * size)
    try:
        tls.unwrap()
    except ssl.SSLWantReadError:
        pass
    select.select([conn], [], [], 0.3)  # for a session, which stays unread
    conn.sendall(outgoing.read())
    conn.close()
    return ftp.getresp()


client = ftplib.FTP_TLS(context=context)
client.connect(sys.argv[1], int(sys.argv[2]), 20)
client.login("bob", "SECRET")
client.prot_p()
client.voidcmd("TYPE I")
client.passive = client.makepasv()
print(upload(client, int(sys.argv[3])))
