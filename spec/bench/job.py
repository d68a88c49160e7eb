"""What a job and a peer are. Part of run.py."""
import dataclasses

REFERENCE = "reference"
MOONWIRE = "{root}/build/moonwire run {here}/%s --listen %s://127.0.0.1:{port}"


@dataclasses.dataclass
class Job:
    """One load on servers of one kind."""
    kind: str                # what the server does; a peer that has no command for it is not asked
    mode: str                # of the load
    options: dict            # of the load
    load: str = "load"       # the program
    measure: str = REFERENCE # the peer to which the ratios are
    backend: str = ""        # kind of the reference server behind a proxy


@dataclasses.dataclass
class Peer:
    """A server: by kind the command that starts it; words and {file:NAME} are filled in by servers.render."""
    commands: dict
    probe: str = ""          # a shell command that succeeds when what the peer needs is there
    remedy: str = ""         # what to say when it is not
    on_request: bool = False # only with --peers
