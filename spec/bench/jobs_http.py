"""HTTP: a short answer, files of 1 KiB and 10 MB, a proxy in front of the raw C server, idle connections."""
import os

from job import Job, Peer

JOBS = {
    "http64": Job("http", "echo", {"http": 1, "conns": 64}),
    "httppipe": Job("http", "echo", {"http": 1, "conns": 64, "depth": 16}),
    "idlehttp": Job("http", "idle", {"http": 1, "conns": 10000, "touch": 1}, measure="nginx"),
    "file": Job("file", "echo", {"http": 1, "conns": 8, "path": "/large"}, measure="nginx"),
    "smallfile": Job("file", "echo", {"http": 1, "conns": 64, "path": "/small"}, measure="nginx"),
    "proxy": Job("proxy", "echo", {"http": 1, "conns": 64}, measure="haproxy", backend="http"),
}

NGINX = "nginx -p {folder} -e {folder}/errors -c {file:nginx_%s.conf}"

PEERS = {
    "nginx": Peer({kind: NGINX % kind for kind in ("http", "file", "https")}, "nginx -v", "needs nginx-light"),
    "nginx-lua": Peer({"http": NGINX % "lua"}, "test -e {modules}/usr/lib/nginx/modules/ngx_http_lua_module.so",
                      "needs --modules: README.md"),
}

SIZES = {"small": 1024, "large": 10 * 1000 * 1000, "half": 512 * 1024}


def prepare(folder):
    """The files that servers send, below www."""
    os.makedirs(f"{folder}/www", exist_ok=True)
    for name, size in SIZES.items():
        path = f"{folder}/www/{name}"
        if not os.path.exists(path) or os.path.getsize(path) != size:
            with open(path, "wb") as file:
                file.write(os.urandom(size))
