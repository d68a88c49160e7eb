"""What happens to the service. Each function is a scenario; it gets a machine on which the package is installed, the
service is stopped and an echo service configured."""
import re

import service
from container import wait_until
from service import UNIT

PACKAGE = "/var/tmp/moonwire.deb"
ALL = {}


def scenario(function):
    ALL[function.__name__] = function
    return function


def install(box):
    box.run("dpkg", "--no-triggers", "--force-confold", "--install", PACKAGE, seconds=300)


def begin(box):
    box.run("systemctl", "stop", "moonwire.socket", UNIT, check=False)
    box.run("systemctl", "reset-failed", check=False)
    service.override(box, "")
    service.configure(box)


def equal(found, expected, what):
    if found != expected:
        raise AssertionError("%s: %r instead of %r" % (what, found, expected))


# --- the unit ---

@scenario
def the_unit_is_exposed_little(box):
    said = box.run("systemd-analyze", "security", "--no-pager", UNIT)
    level = float(re.search(r"exposure level for \S+: ([0-9.]+)", said).group(1))
    assert level <= 1.4, "exposure level %.1f:\n%s" % (level, said)


@scenario
def it_is_active_only_when_it_listens(box):
    slow = "local soon = os.clock() + 0.2\nwhile os.clock() < soon do end\n"
    service.configure(box, script=slow + service.ECHO % "one")
    box.run("systemctl", "start", "--no-block", UNIT)
    wait_until(lambda: box.show(UNIT, "ActiveState") == "activating", "the start has begun")
    assert not service.listens(box) or service.is_active(box), "it listens before it is active"
    wait_until(lambda: service.is_active(box), "it is active")
    equal(service.ask(box), "one hello", "the first answer")
    assert "serving generation 1" in box.show(UNIT, "StatusText"), box.show(UNIT, "StatusText")


@scenario
def a_start_that_fails_says_why(box):
    service.configure(box, more="workerz = 2")
    code, _ = box.status("systemctl", "start", UNIT)
    assert code != 0, "the start did not fail"
    said = box.run("journalctl", "--no-pager", "-u", UNIT, "-n", "20")
    assert "unknown key 'workerz'; did you mean 'workers'?" in said, said


@scenario
def workers_are_confined(box):
    service.start(box)
    uid = box.run("id", "-u", "moonwire")
    pids = service.children(box)
    equal(len(pids), 2, "workers")
    for pid in pids:
        words = dict(line.split(":", 1) for line in box.run("cat", "/proc/%s/status" % pid).splitlines())
        equal(set(words["Uid"].split()), {uid}, "the user")
        equal([words[name].split()[0] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")], ["0" * 16] * 4, "rights")
        equal((words["NoNewPrivs"].strip(), words["Seccomp"].strip()), ("1", "2"), "new rights, filter")


@scenario
def a_credential_reaches_the_config(box):
    box.write("/etc/moonwire/secret", "three", 0o600)
    service.override(box, "[Service]\nLoadCredential=word:/etc/moonwire/secret\n")
    box.write(service.CONFIG, 'service "echo" { listen = "tcp://127.0.0.1:%d", script = "echo.lua", '
              'settings = { word = credential "word" } }\n' % service.PORT)
    box.write(service.SCRIPT, 'return { connect = function(conn, ctx)\n'
              '  conn:write(ctx.config.word, " ", conn:read_line(), "\\n")\nend }\n')
    service.start(box)
    equal(service.ask(box), "three hello", "the answer")


# --- reload ---

@scenario
def a_reload_brings_new_code_to_the_same_process(box):
    service.start(box)
    pid = service.main_pid(box)
    service.configure(box, "two")
    with service.Visitors(box) as visitors:
        box.run("systemctl", "reload", UNIT)
        equal(service.ask(box), "two hello", "the answer")
    equal(visitors.faults, {}, "failed visits")
    equal(service.main_pid(box), pid, "the main process")
    equal(box.show(UNIT, "ActiveState"), "active", "the unit")
    assert "serving generation 2" in box.show(UNIT, "StatusText"), box.show(UNIT, "StatusText")


@scenario
def a_failed_reload_fails_the_command_and_changes_nothing(box):
    service.start(box)
    pid = service.main_pid(box)
    service.configure(box, script="return function(conn)\n  conn:write(\nend\n")
    code, _ = box.status("systemctl", "reload", UNIT)
    assert code != 0, "the reload did not fail"
    equal(box.show(UNIT, "ActiveState"), "active", "the unit")
    equal(service.main_pid(box), pid, "the main process")
    assert "the last reload has failed" in box.show(UNIT, "StatusText"), box.show(UNIT, "StatusText")
    equal(service.ask(box), "one hello", "the answer")
    said = box.run("journalctl", "--no-pager", "-u", UNIT, "-n", "20")
    assert re.search(r"moonwire\[\d+\]: moonwire: .*echo.lua:3:", said), "the command's own reason is missing:\n" + said
    said = box.run("systemctl", "status", "--no-pager", UNIT)
    assert re.search('Status: ".*the last reload has failed', said), said
    service.configure(box, "two")
    box.run("systemctl", "reload", UNIT)
    equal(service.ask(box), "two hello", "the answer")


@scenario
def sighup_reloads_too(box):
    service.start(box)
    service.configure(box, "two")
    box.run("systemctl", "kill", "--kill-whom=main", "--signal=HUP", UNIT)
    wait_until(lambda: service.ask(box) == "two hello", "the new code answers")
    wait_until(lambda: service.is_active(box), "the unit is active again")


@scenario
def systemd_sees_a_reload_while_it_lasts(box):
    service.start(box)
    slow = "local soon = os.clock() + 0.5\nwhile os.clock() < soon do end\n"
    service.configure(box, script=slow + service.ECHO % "two")
    box.run("systemctl", "reload", "--no-block", UNIT)
    wait_until(lambda: box.show(UNIT, "ActiveState") == "reloading", "the reload has begun")
    wait_until(lambda: box.show(UNIT, "StatusText") == "reloading", "the status says so")
    equal(service.ask(box), "one hello", "the answer meanwhile")
    wait_until(lambda: service.is_active(box), "the reload has ended")
    equal(service.ask(box), "two hello", "the answer")


# --- restart ---

@scenario
def a_restart_refuses_nobody(box):
    unix = '"tcp://127.0.0.1:%d", "unix://%s"' % (service.PORT, service.SOCKET)
    service.configure(box, listen=unix, more="drain = 1")
    service.start(box)
    equal(service.stored(box), 3, "stored sockets: one for each worker, and a Unix one")
    with service.Visitors(box) as over_tcp, service.Visitors(box, service.SOCKET) as over_unix:
        for word in ["two", "three", "four"]:
            pid, guest = service.main_pid(box), service.Guest(box)
            service.configure(box, word, listen=unix, more="drain = 1")
            box.run("systemctl", "restart", UNIT)
            equal(guest.rest(), "''", "what a connection gets that stays beyond the drain")
            assert service.main_pid(box) != pid, "nothing was restarted"
            wait_until(lambda: service.ask(box) == word + " hello", "the new process answers")  # pylint: disable=W0640
            equal((service.stored(box), service.listeners(box)), (3, 2), "stored sockets, sockets on the port")
    for visitors in [over_tcp, over_unix]:
        equal(visitors.faults, {}, "failed visits")
        assert visitors.visits > 100, visitors.said
        equal(visitors.answers, {"one hello", "two hello", "three hello", "four hello"}, "the answers")


@scenario
def a_daemon_that_is_killed_refuses_nobody_new(box):
    service.override(box, "[Service]\nRestartSec=2\n")
    service.start(box)
    pids = [str(service.main_pid(box)), *service.children(box)]
    box.run("kill", "-KILL", pids[0])
    wait_until(lambda: box.status("ps", "--pid", ",".join(pids))[0] != 0, "its processes are gone")
    equal(service.is_active(box), False, "whether the service is active")
    equal(service.ask(box), "one hello", "the answer to who comes before it is back")


@scenario
def no_socket_is_kept_that_nobody_accepts_from(box):
    service.start(box)
    equal(service.stored(box), 2, "stored sockets at first")
    service.configure(box, workers=1)
    box.run("systemctl", "restart", UNIT)
    equal((service.stored(box), service.listeners(box)), (1, 1), "with fewer workers: stored, on the port")
    service.configure(box, workers=3)
    box.run("systemctl", "restart", UNIT)
    equal((service.stored(box), service.listeners(box)), (3, 3), "with more workers: stored, on the port")
    for how in ["reload", "restart"]:
        service.configure(box, workers=3, listen='"tcp://127.0.0.1:%d", "tcp://127.0.0.1:7001"' % service.PORT)
        box.run("systemctl", how, UNIT)
        equal((service.stored(box), service.listeners(box, 7001)), (6, 3), how + " with one more: stored, on its port")
        service.configure(box, workers=3)
        box.run("systemctl", how, UNIT)
        equal((service.stored(box), service.listeners(box, 7001)), (3, 0), how + " without it: stored, on its port")
    for _ in range(20):
        equal(service.ask(box), "one hello", "the answer")



@scenario
def a_killed_daemon_comes_back_and_leaves_no_worker(box):
    service.start(box)
    pids = [str(service.main_pid(box)), *service.children(box)]
    box.run("kill", "-KILL", pids[0])
    wait_until(lambda: service.main_pid(box) not in (0, int(pids[0])) and service.is_active(box), "it is back")
    equal(service.ask(box), "one hello", "the answer")
    wait_until(lambda: box.status("ps", "--pid", ",".join(pids))[0] != 0, "the old processes are gone")


@scenario
def a_daemon_that_hangs_is_replaced(box):
    service.override(box, "[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\n")
    service.start(box)
    pid = service.main_pid(box)
    box.run("kill", "-STOP", str(pid))
    wait_until(lambda: service.main_pid(box) not in (0, pid) and service.is_active(box), "it was replaced")
    equal(service.ask(box), "one hello", "the answer")
    said = box.run("journalctl", "--no-pager", "-u", UNIT, "-n", "30")
    assert "Watchdog timeout (limit 2s)" in said, said


@scenario
def a_daemon_that_no_worker_serves_for_is_replaced(box):
    service.override(box, "[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\n")
    service.configure(box, more='restart = { budget = 1, within = "60s" }')
    service.start(box)
    pid = service.main_pid(box)
    box.run("kill", "-KILL", *service.children(box))
    wait_until(lambda: service.main_pid(box) not in (0, pid) and service.is_active(box), "it was replaced")
    equal(service.ask(box), "one hello", "the answer")
    said = box.run("journalctl", "--no-pager", "-u", UNIT, "-n", "30")
    assert "Watchdog timeout (limit 2s)" in said, said


@scenario
def a_healthy_daemon_outlives_the_watchdog(box):
    service.override(box, "[Service]\nWatchdogSec=500ms\n")
    service.start(box)
    pid = service.main_pid(box)
    box.run("sleep", "3")
    equal(service.main_pid(box), pid, "the main process")
    equal(box.show(UNIT, "NRestarts"), "0", "restarts")


# --- ports below 1024 ---

@scenario
def a_port_below_1024_takes_the_drop_in(box):
    service.configure(box, listen='"tcp://127.0.0.1:80"')
    assert box.status("systemctl", "start", UNIT)[0] != 0, "it has the right without the drop-in"
    said = box.run("journalctl", "--no-pager", "-u", UNIT, "-n", "20")
    assert "127.0.0.1:80: permission denied" in said.lower(), said
    box.run("systemctl", "reset-failed", UNIT)
    box.run("mkdir", "-p", service.OVERRIDES.rpartition("/")[0])
    box.run("cp", "/usr/share/doc/moonwire/examples/low-ports.conf", service.OVERRIDES)
    box.run("systemctl", "daemon-reload")
    service.start(box)
    equal(service.ask(box, port=80), "one hello", "the answer")
    for pid in service.children(box):
        words = dict(line.split(":", 1) for line in box.run("cat", "/proc/%s/status" % pid).splitlines())
        equal({words[name].strip() for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")}, {"0" * 16}, "rights")
    box.run("systemctl", "reload", UNIT)
    equal(service.ask(box, port=80), "one hello", "the answer after a reload")


# --- sockets of systemd ---

@scenario
def the_first_connection_starts_it(box):
    box.run("systemctl", "start", "moonwire.socket")
    equal(box.show(UNIT, "ActiveState"), "inactive", "the unit")
    equal(service.ask(box), "one hello", "the first answer")
    equal(box.show(UNIT, "ActiveState"), "active", "the unit")
    with service.Visitors(box) as visitors:
        box.run("systemctl", "restart", UNIT)
        equal(service.ask(box), "one hello", "the answer after a restart")
    equal(visitors.faults, {}, "failed visits")
    assert visitors.visits > 20, visitors.said


# --- the log ---

@scenario
def entries_have_fields_in_the_journal(box):
    service.configure(box, script="""
local log = require "moonwire.log"
return function(conn)
  log.warn("somebody came", { colour = "blue", text = "two\\nlines" })
  conn:write("logged ", conn:read_line(), "\\n")
end
""")
    service.start(box)
    equal(service.ask(box), "logged hello", "the answer")
    found = wait_until(lambda: service.journal(box, "MOONWIRE_COLOUR=blue"), "the entry is in the journal")[-1]
    equal(found["PRIORITY"], "4", "the priority")
    equal(found["SYSLOG_IDENTIFIER"], "moonwire", "the identifier")
    equal(found["_SYSTEMD_UNIT"], UNIT, "the unit")
    equal(found["MOONWIRE_TEXT"], "two\nlines", "the text")
    equal(found["MOONWIRE_SERVICE"], "echo", "the service")
    assert found["MESSAGE"].startswith("somebody came "), found


# --- the package ---

@scenario
def the_package_makes_a_user_and_enables_the_unit(box):
    words = box.run("getent", "passwd", "moonwire").split(":")
    equal(words[5:], ["/var/lib/moonwire", "/usr/sbin/nologin"], "home and shell")
    equal(box.run("systemctl", "is-enabled", UNIT), "enabled", "the unit")
    equal(box.show(UNIT, "LoadState"), "loaded", "the unit")
    equal(box.show("moonwire.socket", "LoadState"), "loaded", "the socket unit")
    equal(box.run("systemctl", "is-enabled", "moonwire.socket", check=False), "disabled", "the socket unit")
    for path in [service.CONFIG, "/usr/bin/moonwire", "/usr/share/man/man1/moonwire.1.gz"]:
        assert box.exists(path), path + " is missing"


@scenario
def an_upgrade_reloads(box):
    service.start(box)
    pid = service.main_pid(box)
    service.configure(box, "two")
    with service.Visitors(box) as visitors:
        install(box)
    equal(visitors.faults, {}, "failed visits")
    equal(service.main_pid(box), pid, "the main process")
    equal(service.ask(box), "two hello", "the answer")
    equal(service.status(box)["generation"], 2, "the generation")


@scenario
def an_upgrade_of_the_program_restarts_and_refuses_nobody(box):
    box.run("sh", "-c", "printf x >> /usr/bin/moonwire")
    service.start(box)
    pid = service.main_pid(box)
    service.configure(box, "two")
    with service.Visitors(box) as visitors:
        install(box)
    equal(visitors.faults, {}, "failed visits")
    assert service.main_pid(box) not in (0, pid), "nothing was restarted"
    equal(service.ask(box), "two hello", "the answer")
    equal(box.status("cmp", "/proc/%d/exe" % service.main_pid(box), "/usr/bin/moonwire"), (0, ""), "the program")


@scenario
def a_purge_leaves_nothing(box):
    service.start(box)
    for folder in ["lib", "log"]:
        box.write("/var/%s/moonwire/left" % folder, "by the daemon\n")
    try:
        box.run("dpkg", "--no-triggers", "--purge", "moonwire", seconds=300)
        wait_until(lambda: box.show(UNIT, "LoadState") == "not-found", "the unit is gone")
        equal(box.run("getent", "passwd", "moonwire", check=False), "", "the user")
        equal(box.run("getent", "group", "moonwire", check=False), "", "the group")
        box.run("rm", "-f", service.SCRIPT)
        left = box.run("find", "/etc", "/var/lib", "/var/log", "/run", "/lib/systemd", "/usr/share", "/usr/bin",
                       "-ignore_readdir_race", "-name", "moonwire*", "-not", "-path", "/var/lib/dpkg/*")
        equal(left.replace("/etc/moonwire", "", 1) if box.exists("/etc/moonwire/secret") else left, "", "what is left")
    finally:
        install(box)
