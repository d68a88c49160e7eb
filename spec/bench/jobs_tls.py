"""TLS: handshakes, resumed ones, a file of 512 KiB over connections that stay, idle connections."""
import os
import subprocess

from job import Job

TLS = {"load": "load_tls", "measure": "nginx"}

JOBS = {
    "tlsfull": Job("https", "handshake", {"conns": 32}, **TLS),
    "tlsresume": Job("https", "handshake", {"conns": 32, "resume": 1}, **TLS),
    "tlsbulk": Job("https", "bulk", {"conns": 8, "path": "/half"}, **TLS),
    "idletls": Job("https", "idle", {"conns": 2000}, **TLS),
}

PEERS = {}


def prepare(folder):
    """A certificate and its key, together for HAProxy as well; below tls."""
    tls = f"{folder}/tls"
    if os.path.exists(f"{tls}/both.pem"):
        return
    os.makedirs(tls, exist_ok=True)
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=localhost"
    subprocess.run([*words.split(), "-keyout", f"{tls}/key.pem", "-out", f"{tls}/certificate.pem"], check=True,
                   capture_output=True)
    with open(f"{tls}/both.pem", "wb") as both:
        for name in ("certificate.pem", "key.pem"):
            with open(f"{tls}/{name}", "rb") as part:
                both.write(part.read())
