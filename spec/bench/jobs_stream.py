"""Echo, lines, new connections, idle ones: Moonwire's streams beside raw C and scripted servers."""
from job import MOONWIRE, REFERENCE, Job, Peer

JOBS = {
    "echo64": Job("echo", "echo", {"conns": 64, "size": 64}),
    "echo1000": Job("echo", "echo", {"conns": 1000, "size": 64}),
    "echo16k": Job("echo", "echo", {"conns": 64, "size": 16384}),
    "echopipe": Job("echo", "echo", {"conns": 64, "size": 64, "depth": 16}),
    "line64": Job("line", "echo", {"conns": 64, "size": 64, "line": 1}),
    "linepipe": Job("line", "echo", {"conns": 64, "size": 64, "line": 1, "depth": 16}),
    "churn": Job("echo", "churn", {"conns": 64, "size": 64}),
    "idle": Job("echo", "idle", {"conns": 10000, "size": 64}),
    "idletouch": Job("echo", "idle", {"conns": 10000, "size": 64, "touch": 1}),
}


def of(command, *kinds):
    return {kind: command for kind in kinds}


PEERS = {
    REFERENCE: Peer(of("{build}/reference {kind} {port}", "echo", "line", "http")),
    "moonwire": Peer({
        "echo": MOONWIRE % ("echo.lua", "tcp"), "line": MOONWIRE % ("line.lua", "tcp"),
        "http": MOONWIRE % ("http.lua", "tcp"), "file": MOONWIRE % ("file.lua", "tcp") + " --set root={build}/www",
        "https": MOONWIRE % ("https.lua", "tls") + " --set root={build}/www --set tls={build}/tls",
        "websocket": MOONWIRE % ("../../examples/websocket_echo.lua", "tcp"),
        "proxy": MOONWIRE % ("../../examples/reverse_proxy.lua", "tcp")
                 + " --set upstreams.1=http://127.0.0.1:{backend}",
    }, "{root}/build/moonwire --version", "build/moonwire is missing: run make"),
    "luv": Peer(of("luajit {here}/peers/luv.lua {kind} {port}", "echo", "line"), "luajit -v -lluv",
                "needs luajit, lua-luv"),
    "cqueues": Peer(of("luajit {here}/peers/cqueues.lua {kind} {port}", "echo", "line"), "luajit -v -lcqueues",
                    "needs luajit, lua-cqueues"),
    "node": Peer({**of("node {here}/peers/node.js {kind} {port}", "echo", "line", "http"),
                  "websocket": "node {here}/peers/websocket.js {port}"},
                 "node -e 'require(\"ws\")'", "needs nodejs, node-ws"),
    "haproxy": Peer({**of("haproxy -db -f {here}/peers/haproxy.cfg", "echo", "line"),
                     **of("haproxy -db -f {file:haproxy_http.cfg}", "http", "proxy", "https")},
                    "haproxy -v", "needs haproxy"),
    "luv54": Peer(of("lua5.4 {here}/peers/luv.lua {kind} {port}", "echo", "line"), "lua5.4 -v -lluv",
                  "needs lua5.4, lua-luv", on_request=True),
    "cqueues54": Peer(of("lua5.4 {here}/peers/cqueues.lua {kind} {port}", "echo", "line"), "lua5.4 -v -lcqueues",
                      "needs lua5.4, lua-cqueues", on_request=True),
}


def prepare(_):
    pass
