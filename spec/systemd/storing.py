"""The store under the unit: where the config may put it, and what it outlives."""
import service
from container import wait_until
from scenarios import equal, scenario
from service import UNIT

COUNTER = """
local store = require "moonwire.store"
return function(conn, ctx)
  for line in conn:lines() do
    conn:write(line, " ", assert(store.incr "visits"), "\\n")
  end
end
"""


def start(box, store):
    service.configure(box, more='store = "%s"' % store, script=COUNTER)
    service.start(box)


@scenario
def a_store_that_is_kept_outlives_restarts_and_crashes(box):
    box.run("rm", "-rf", "/var/lib/moonwire/store")
    start(box, "lmdb:///var/lib/moonwire/store?size=8M")
    for number in range(1, 9):
        equal(service.ask(box), "hello %d" % number, "an answer")
    equal(box.run("stat", "-c", "%U %a", "/var/lib/moonwire/store"), "moonwire 700", "the folder")
    box.run("systemctl", "restart", UNIT)
    equal(service.ask(box), "hello 9", "after a restart")
    pid = service.main_pid(box)
    box.run("systemctl", "kill", "--signal=KILL", UNIT)
    wait_until(lambda: service.is_active(box) and service.main_pid(box) != pid, "it is active again")
    equal(service.ask(box), "hello 10", "after a crash")
    box.run("systemctl", "stop", UNIT)
    said = box.run("ls", "/var/lib/moonwire/store")
    assert "live.mdb" in said, said


@scenario
def a_store_that_is_not_kept_ends_with_the_service(box):
    start(box, "lmdb:")
    for number in range(1, 5):
        equal(service.ask(box), "hello %d" % number, "an answer")
    box.run("systemctl", "reload", UNIT)
    equal(service.ask(box), "hello 5", "after a reload")
    box.run("systemctl", "restart", UNIT)
    equal(service.ask(box), "hello 1", "after a restart")


@scenario
def a_store_where_the_unit_may_not_write_is_told(box):
    service.configure(box, more='store = "lmdb:///srv/store"', script=COUNTER)
    code, _ = box.status("systemctl", "start", UNIT)
    assert code != 0, "the start did not fail"
    said = box.run("journalctl", "--no-pager", "-u", UNIT, "-n", "20")
    assert "make the folder of the store /srv/store: read-only file system" in said.lower(), said
