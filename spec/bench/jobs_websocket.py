"""WebSocket: short text messages, echoed."""
from job import Job, Peer

JOBS = {
    "websocket": Job("websocket", "echo", {"ws": 1, "conns": 64, "size": 64}, measure="node"),
    "websocketpipe": Job("websocket", "echo", {"ws": 1, "conns": 64, "size": 64, "depth": 16}, measure="node"),
}

PEERS = {
    "uvloop": Peer({"websocket": "/usr/bin/python3 {here}/peers/websocket.py {port}"},
                   "/usr/bin/python3 -c 'import uvloop, websockets'", "needs python3-uvloop, python3-websockets"),
}


def prepare(_):
    pass
