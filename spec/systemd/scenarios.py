"""What happens to the service. Each function is a scenario; it gets a machine on which the package is installed and the
service is stopped."""
import re

from container import wait_until

PACKAGE = "/var/tmp/moonwire.deb"
UNIT = "moonwire.service"
CONFIG = "/etc/moonwire/moonwire.lua"
ALL = {}


def scenario(function):
    ALL[function.__name__] = function
    return function


def install(box):
    box.run("dpkg", "--no-triggers", "--install", PACKAGE, seconds=300)


def begin(box):
    box.run("systemctl", "stop", "moonwire.socket", UNIT, check=False)
    box.run("systemctl", "reset-failed", check=False)


def equal(found, expected, what):
    if found != expected:
        raise AssertionError("%s: %r instead of %r" % (what, found, expected))


# --- the package ---

@scenario
def the_package_makes_a_user_and_enables_the_unit(box):
    words = box.run("getent", "passwd", "moonwire").split(":")
    equal(words[5:], ["/var/lib/moonwire", "/usr/sbin/nologin"], "home and shell")
    equal(box.run("systemctl", "is-enabled", UNIT), "enabled", "the unit")
    equal(box.show(UNIT, "LoadState"), "loaded", "the unit")
    equal(box.show("moonwire.socket", "LoadState"), "loaded", "the socket unit")
    equal(box.run("systemctl", "is-enabled", "moonwire.socket", check=False), "disabled", "the socket unit")
    for path in [CONFIG, "/usr/bin/moonwire", "/usr/share/man/man1/moonwire.1.gz"]:
        assert box.exists(path), path + " is missing"


@scenario
def the_unit_is_exposed_little(box):
    said = box.run("systemd-analyze", "security", "--no-pager", UNIT)
    level = float(re.search(r"exposure level for \S+: ([0-9.]+)", said).group(1))
    assert level <= 1.4, "exposure level %.1f:\n%s" % (level, said)


@scenario
def a_purge_leaves_nothing(box):
    for folder in ["lib", "log"]:
        box.write("/var/%s/moonwire/left" % folder, "by the daemon\n")
    try:
        box.run("dpkg", "--no-triggers", "--purge", "moonwire", seconds=300)
        wait_until(lambda: box.show(UNIT, "LoadState") == "not-found", "the unit is gone")
        equal(box.run("getent", "passwd", "moonwire", check=False), "", "the user")
        equal(box.run("getent", "group", "moonwire", check=False), "", "the group")
        left = box.run("find", "/etc", "/var/lib", "/var/log", "/run", "/lib/systemd", "/usr/share", "/usr/bin",
                       "-ignore_readdir_race", "-name", "moonwire*", "-not", "-path", "/var/lib/dpkg/*")
        equal(left, "", "what is left")
    finally:
        install(box)
