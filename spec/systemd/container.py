"""A machine with a real systemd: this one's files below an overlay, so that nothing here changes, booted in a container
with a network of its own. Needs root, overlay mounts and systemd-nspawn; `why_not` says what is missing."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BOOT_SECONDS = 90
# What would only take time, or start what is installed without being asked.
UNWANTED = ["apt-daily.timer", "apt-daily-upgrade.timer", "man-db.timer", "e2scrub_all.timer", "fstrim.timer",
            "systemd-networkd-wait-online.service", "NetworkManager-wait-online.service"]


class Unable(Exception):
    """This machine does not allow a container; says why."""


def why_not():
    """What keeps this machine from booting a container, as far as one can tell without trying; None: nothing."""
    if os.geteuid() != 0:
        return "it takes root to mount and to boot a container"
    for program in ["systemd-nspawn", "nsenter", "mount", "umount"]:
        if not shutil.which(program):
            return "there is no %s here" % program
    if "overlay" not in open("/proc/filesystems").read():
        return "the kernel has no overlay file system"
    return None


class Container:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="moonwire-systemd.")
        self.root = os.path.join(self.folder, "root")
        self.nspawn = self.leader = None

    def __enter__(self):
        try:
            self.mount()
            self.prepare()
            self.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.power_off()
        for place in [self.root, self.folder]:
            if os.path.ismount(place):
                subprocess.run(["umount", "--recursive", place], check=False)
            if os.path.ismount(place):
                subprocess.run(["umount", "--recursive", "--lazy", place], check=False)
        os.rmdir(self.folder)

    # --- its life ---

    def mount(self):
        def attempt(*arguments):
            done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Unable(done.stderr.strip().partition("\n")[0])

        attempt("-t", "tmpfs", "moonwire-systemd", self.folder)
        parts = [os.path.join(self.folder, name) for name in ("upper", "work")]
        for part in [*parts, self.root]:
            os.mkdir(part)
        layers = "lowerdir=/,upperdir=%s,workdir=%s" % tuple(parts)
        attempt("-t", "overlay", "moonwire-systemd", "-o", layers, self.root)

    def prepare(self):
        """A machine of its own: another identity, services may be started, nothing of ours is installed yet."""
        self.write("/etc/machine-id", "")
        for path in ["/usr/sbin/policy-rc.d", "/etc/moonwire"]:
            place = self.root + path
            if os.path.isdir(place):
                shutil.rmtree(place)
            elif os.path.exists(place):
                os.remove(place)
        os.makedirs(self.root + "/etc/systemd/system", exist_ok=True)
        wanted = self.root + "/etc/systemd/system/multi-user.target.wants"
        others = os.listdir(wanted) if os.path.isdir(wanted) else []
        for unit in sorted({*UNWANTED, *others}): # servers of other packages would hold ports
            place = self.root + "/etc/systemd/system/" + unit
            if os.path.lexists(place):
                os.remove(place)
            os.symlink("/dev/null", place)

    def boot(self):
        unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
        self.console = open(os.path.join(self.folder, "console"), "w+")
        self.nspawn = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--console=read-only",
             "--machine=moonwire-%d" % os.getpid(), "-D", self.root, "--boot", "systemd.unit=multi-user.target",
             "systemd.unified_cgroup_hierarchy=%d" % unified, "systemd.firstboot=off"],
            stdin=subprocess.DEVNULL, stdout=self.console, stderr=subprocess.STDOUT, start_new_session=True)
        end = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < end and self.nspawn.poll() is None:
            state = self.find_leader() and self.run("systemctl", "is-system-running", check=False)
            if state in ("running", "degraded"):
                return
            time.sleep(0.2)
        self.console.seek(0)
        last = [line for line in self.console.read().splitlines() if line.strip()][-5:]
        raise Unable("the container does not boot: " + " | ".join(last))

    def find_leader(self):
        """The container's first process is the child of nspawn."""
        with open("/proc/%d/task/%d/children" % (self.nspawn.pid, self.nspawn.pid)) as children:
            words = children.read().split()
        self.leader = int(words[0]) if words else None
        return self.leader

    def power_off(self):
        if not self.nspawn:
            return
        if self.nspawn.poll() is None and self.leader:
            os.kill(self.leader, signal.SIGRTMIN + 4)
        try:
            self.nspawn.wait(20)
        except subprocess.TimeoutExpired:
            if self.leader:
                os.kill(self.leader, signal.SIGKILL)
            self.nspawn.kill()
            self.nspawn.wait()
        self.console.close()

    # --- what one does there ---

    def popen(self, *command, **more):
        return subprocess.Popen(["nsenter", "--target", str(self.leader), "--all", *command],
                                stdin=subprocess.DEVNULL, text=True, **more)

    def run(self, *command, check=True, seconds=60):
        """What the command says, without the last line end; raises when it fails, unless told not to."""
        process = self.popen(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            said = process.communicate(timeout=seconds)[0].rstrip("\n")
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError("%s: not done after %d s" % (" ".join(command), seconds)) from None
        if check and process.returncode != 0:
            raise AssertionError("%s: status %d: %s" % (" ".join(command), process.returncode, said))
        return said

    def status(self, *command, seconds=60):
        """Its exit status and what it says."""
        process = self.popen(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            said = process.communicate(timeout=seconds)[0]
        finally:
            process.kill()
        return process.returncode, said

    def write(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.root + path), exist_ok=True)
        with open(self.root + path, "w") as file:
            file.write(text)
        os.chmod(self.root + path, mode)

    def copy(self, source, path):
        shutil.copyfile(source, self.root + path)

    def exists(self, path):
        """On its disk, that is, not in /run or /proc."""
        return os.path.lexists(self.root + path)

    def show(self, unit, name):
        return self.run("systemctl", "show", "--property", name, "--value", unit)


def wait_until(condition, what, seconds=20):
    """Polls, because what is waited for happens in another machine."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("this did not happen within %d s: %s" % (seconds, what))


def unable(reason):
    print("skipped: %s" % reason)
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)
