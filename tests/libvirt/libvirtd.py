"""A private, unmodified libvirtd in namespaces of its own, for tests.

    pytest ── stdin, stdout ──> bash, PID 1 of a new pid, mount, net and uts namespace
      │                           ├── libvirtd            (restarted alone by `restart`)
      │                           └── emulators           (survive that; all die with PID 1)
      ├── virsh -c qemu+unix:///system?socket=ROOT/sock/libvirt-sock
      └── virsh event --all --loop  ──> ROOT/events.log

ROOT/{run,etc,lib,cache,log} are bound over /run, /etc/libvirt, /var/{lib,cache,log}/libvirt, so nothing of the host's
libvirt is seen or touched. The pid namespace matters twice: an emulator that daemonizes is reaped at once, and closing
PID 1's standard input, even by the death of the test run, ends every process in it (facts: libvirt 1). The net
namespace keeps the VNC ports that libvirt picks from meeting those of others.

libvirt refuses a domain of type `kvm` unless a file /dev/kvm exists; where the host has none, an empty placeholder is
put into a /dev that only this namespace sees (facts: libvirt 2a).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIBVIRTD = "/usr/sbin/libvirtd"
START_S = 20.0
COMMAND_S = 60.0

LIBVIRTD_CONF = """\
unix_sock_dir = "{root}/sock"
auth_unix_rw = "none"
host_uuid = "{host_uuid}"
keepalive_interval = -1
log_filters = "1:qemu.qemu_monitor 1:qemu.qemu_process 1:qemu.qemu_agent"
log_outputs = "1:file:{root}/log/libvirtd.log"
"""

QEMU_CONF = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
security_default_confined = 0
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
seccomp_sandbox = 0
max_core = 0
"""

PROBE_XML = """\
<domain type='qemu'>
  <name>probe</name><memory>1024</memory><os><type>hvm</type></os>
</domain>
"""

# Every entry of /dev is bound into a tmpfs, then that becomes /dev: the host's own /dev gets no new file.
PLACEHOLDER_KVM = """\
mkdir {root}/dev
mount -t tmpfs -o mode=755 tmpfs {root}/dev
for entry in /dev/*; do
    copy={root}/dev/${{entry##*/}}
    if [ "$entry" = /dev/kvm ]; then continue
    elif [ "$entry" = /dev/ptmx ]; then ln -s pts/ptmx "$copy"  # a bound one would not find its /dev/pts
    elif [ -L "$entry" ]; then cp -P "$entry" "$copy"
    elif [ -d "$entry" ]; then mkdir "$copy"; mount --rbind "$entry" "$copy"
    else : >"$copy"; mount --bind "$entry" "$copy"; fi
done
: >{root}/dev/kvm
mount --rbind {root}/dev /dev
"""

# In a chroot whose root is no mount point nothing can be mounted without the risk that it shows outside (shared
# propagation). A private tmpfs over /proc is a place where all can be bound and made private, to live in.
ENTER_CHROOT = """\
set -e
mount -t tmpfs tmpfs /proc
mkdir /proc/root
mount --rbind / /proc/root
mount --make-rprivate /proc/root
exec chroot /proc/root bash -c 'mount -t proc proc /proc; eval "$0"' "$0"
"""

# PID 1: sets the stage, then carries out one line at a time and answers `done STATUS`; end of input ends everything.
SUPERVISOR = """\
set -e
{placeholder}
for pair in run:/run etc:/etc/libvirt lib:/var/lib/libvirt cache:/var/cache/libvirt log:/var/log/libvirt; do
    mount --bind "{root}/${{pair%%:*}}" "${{pair#*:}}"
done
hostname {hostname} 2>/dev/null || true
{python} -c '{loopback}'
set +e
echo ready
while IFS= read -r line; do
    eval "$line"
    echo "done $?"
done
"""

# What `ip link set lo up` does (SIOCSIFFLAGS: IFF_UP | IFF_LOOPBACK | IFF_RUNNING), without needing that program.
LOOPBACK_UP = """\
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 0x49))
"""

START = (
    f"{LIBVIRTD} --config {{root}}/etc/libvirtd.conf --pid-file {{root}}/run/libvirtd.pid "
    "</dev/null >>{root}/log/libvirtd.out 2>&1 & libvirtd=$!"
)


class LibvirtError(Exception):
    """libvirt did not do what the test asked; the message carries the ends of the logs."""


def until(condition: Callable[[], bool], what: str, timeout_s: float = START_S) -> None:
    """Poll `condition` until it holds. Raises TimeoutError naming `what`."""
    pause = threading.Event()
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        pause.wait(0.02)


class Libvirtd:
    """Use as a context manager.

    programs: name -> file; these names come first in libvirtd's PATH, so `qemu-system-x86_64` is the default emulator.
    kvm: what stands at /dev/kvm: `host`, what the host has, be it nothing; `ensure`, the placeholder where the host
        has none; `placeholder`, always. With a placeholder libvirt probes the real QEMU again at every step, since
        KVM looks usable to libvirt and QEMU denies it; ours says it has KVM and is probed once.
    beside: the libvirtd whose network is shared, for migrations between the two.
    settings: further lines of qemu.conf.
    Raises LibvirtError, also from the first start.
    """

    def __init__(
        self,
        programs: dict[str, str] | None = None,
        *,
        kvm: str = "host",
        beside: Libvirtd | None = None,
        settings: str = "",
    ) -> None:
        for program in (LIBVIRTD, shutil.which("virsh")):
            if program is None or not os.access(program, os.X_OK):
                raise LibvirtError(
                    "libvirtd and virsh are needed: Debian packages libvirt-daemon-system and libvirt-clients, "
                    "which `make test` installs"
                )
        if os.geteuid() != 0:
            raise LibvirtError("the private libvirtd makes namespaces and mounts: run the tests as root")
        self.root = Path(tempfile.mkdtemp(prefix="qv", dir="/tmp"))  # short: sun_path holds 107 bytes
        self._placeholder = kvm == "placeholder" or (kvm == "ensure" and not os.path.exists("/dev/kvm"))
        self.hostname = f"qmpemu-{self.root.name}"
        """Every one has its own: libvirt does not migrate from a host to itself."""
        self.events_log = self.root / "events.log"
        self.uri = f"qemu+unix:///system?socket={self.root}/sock/libvirt-sock"
        self._programs, self._kvm = programs or {}, kvm
        self._settings = settings
        self._beside = beside
        self._init: subprocess.Popen[str] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._was_watching = False

    def __enter__(self) -> Libvirtd:
        try:
            self._prepare()
            self._boot()
            self._start_daemon()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def another(self) -> Libvirtd:
        """One of the same kind on the same network, not started."""
        return Libvirtd(self._programs, kvm=self._kvm, beside=self, settings=self._settings)

    # -- what tests use ----------------------------------------------------------------------------------------

    def virsh(self, *args: str) -> subprocess.CompletedProcess[str]:
        """One virsh command, whatever its outcome."""
        return subprocess.run(
            ["virsh", "-q", "-c", self.uri, *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )

    def ok(self, *args: str) -> str:
        """One virsh command that has to succeed: its standard output, stripped. Raises LibvirtError with the logs."""
        done = self.virsh(*args)
        if done.returncode != 0:
            raise LibvirtError(f"virsh {shlex.join(args)}: {done.stderr.strip()}\n{self.logs()}")
        return done.stdout.strip()

    def domain_state(self, name: str) -> str:
        """`running (booted)`, `shut off (shutdown)`, ... as `virsh domstate --reason` says."""
        return self.ok("domstate", name, "--reason")

    def wait_for_state(self, name: str, state: str, timeout_s: float = START_S) -> None:
        """Until the domain's state and reason are `state`. Raises LibvirtError with the logs."""
        try:
            until(lambda: self.domain_state(name) == state, f"domain {name} is `{state}`", timeout_s)
        except TimeoutError as error:
            raise LibvirtError(f"{error}; it is `{self.domain_state(name)}`\n{self.logs()}") from None

    def emulator_pid(self, name: str) -> int:
        """Process id of a running domain's emulator, as seen inside the namespace (for `inside`)."""
        return int((self.root / "run/libvirt/qemu" / f"{name}.pid").read_text())

    def inside(self, line: str) -> int:
        """Have PID 1 of the namespace evaluate one line of bash; returns its status."""
        assert self._init is not None and self._init.stdin is not None
        self._init.stdin.write(line + "\n")
        self._init.stdin.flush()
        return int(self._answer("done "))

    def started(self, *args: str) -> subprocess.Popen[str]:
        """One virsh command, under way."""
        return subprocess.Popen(
            ["virsh", "-q", "-c", self.uri, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
        )

    def restart(self, *, killed: bool = False) -> None:
        """Restart libvirtd alone; emulators live on. The event log goes on once it is back. killed: by SIGKILL.

        A job under way (the refresh after a reset) would hold up libvirtd's end for its 30 s of grace.
        """
        if not killed:
            for name in self.ok("list", "--name").split():
                until(lambda name=name: self.ok("domcontrol", name) == "ok", f"no job on domain {name}")  # type: ignore[misc]
        self.stop(killed=killed)
        self.start()

    def stop(self, *, killed: bool = False) -> None:
        """End libvirtd alone. killed: by SIGKILL."""
        self._was_watching = self._watcher is not None
        self._stop_watching()
        self.inside(f'kill {"-KILL" if killed else "-TERM"} "$libvirtd"; wait "$libvirtd" 2>/dev/null')

    def start(self) -> None:
        """Start libvirtd after `stop`; the event log goes on."""
        self._start_daemon()
        if self._was_watching:
            self.watch_events()

    def watch_events(self) -> None:
        """Let every event of every domain be written to `events_log`, from the return of this call on."""
        self._stop_watching()
        with self.events_log.open("ab") as log:
            self._watcher = subprocess.Popen(
                ["virsh", "-c", self.uri, "event", "--all", "--loop", "--timestamp"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until(self._watcher_hears, "virsh event reports an event")

    def events(self, name: str) -> list[str]:
        """The event lines of one domain so far, without time stamp and domain: `lifecycle: Started Booted`."""
        mark = f" for domain '{name}'"
        text = self.events_log.read_text() if self.events_log.exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()
        return [line.split("event ", 1)[1].replace(mark, "").strip("' ") for line in lines if mark in line]

    def lifecycle(self, name: str) -> list[str]:
        """`Started Booted`, `Suspended Paused`, ... of one domain, in order."""
        prefix = "lifecycle': "
        return [line.removeprefix(prefix) for line in self.events(name) if line.startswith(prefix)]

    def logs(self, lines: int = 25) -> str:
        """The ends of libvirtd's and the emulators' logs, for messages."""
        found = [self.root / "log/libvirtd.out", *sorted((self.root / "log/qemu").glob("*.log"))]
        found.append(self.root / "log/libvirtd.log")
        parts = []
        for path in found:
            if path.exists():
                tail = [line[:400] for line in path.read_text(errors="replace").splitlines()[-lines:]]
                parts.append("\n".join([f"--- {path.name}", *tail]))
        return "\n".join(parts)

    def close(self) -> None:
        """End every process of the namespace and remove the files."""
        self._stop_watching()
        if self._init is not None:
            assert self._init.stdin is not None
            self._init.stdin.close()
            try:
                self._init.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._init.kill()
                self._init.wait()
            if self._init.stdout is not None:
                self._init.stdout.close()
            self._init = None
        shutil.rmtree(self.root, ignore_errors=True)

    # -- stages of the start -----------------------------------------------------------------------------------

    def _prepare(self) -> None:
        for name in ("sock", "run", "run/lock", "etc", "lib", "cache", "log", "bin", "disks"):
            (self.root / name).mkdir()
        for name, file in self._programs.items():
            (self.root / "bin" / name).symlink_to(file)
        conf = LIBVIRTD_CONF.format(root=self.root, host_uuid=uuid.uuid4())
        (self.root / "etc/libvirtd.conf").write_text(conf)
        (self.root / "etc/qemu.conf").write_text(QEMU_CONF + self._settings)

    def _boot(self) -> None:
        placeholder = PLACEHOLDER_KVM.format(root=self.root) if self._placeholder else ""
        script = SUPERVISOR.format(
            root=self.root,
            placeholder=placeholder,
            python=sys.executable,
            loopback=LOOPBACK_UP,
            hostname=self.hostname,
        )
        network = ["unshare", "-n"]
        if self._beside is not None and self._beside._init is not None:
            network = ["nsenter", f"--net=/proc/{self._beside._init.pid}/ns/net", "unshare"]
        path = f"{self.root}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        with (self.root / "log/libvirtd.out").open("ab") as errors:
            self._init = subprocess.Popen(
                [*network, *"-m -u -p -f --kill-child --mount-proc".split(), *self._confined(script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={"PATH": path, "HOME": "/root", "LC_ALL": "C"},
            )
        self._answer("ready")

    @staticmethod
    def _confined(script: str) -> list[str]:
        """The rest of unshare's command line, by which no mount of the script shows outside."""
        mount_points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        if "/" in mount_points:
            return ["--propagation", "private", "bash", "-c", script]
        return ["--propagation", "unchanged", "bash", "-c", ENTER_CHROOT, script]

    def _start_daemon(self) -> None:
        self.inside(START.format(root=self.root))
        try:
            until(self._answers, "libvirtd answers")
        except TimeoutError as error:
            raise LibvirtError(f"{error}\n{self.logs()}") from None

    def _answers(self) -> bool:
        if self.inside('kill -0 "$libvirtd"') != 0:
            raise LibvirtError(f"libvirtd has ended\n{self.logs()}")
        return (self.root / "sock/libvirt-sock").exists() and self.virsh("uri").returncode == 0

    def _answer(self, prefix: str) -> str:
        assert self._init is not None and self._init.stdout is not None
        line = self._init.stdout.readline()
        if not line.startswith(prefix):
            raise LibvirtError(f"the namespace for libvirtd has ended\n{self.logs()}")
        return line.removeprefix(prefix)

    def _watcher_hears(self) -> bool:
        """virsh does not say when it listens: define and undefine a domain until that shows in its output."""
        probe = self.root / "etc/probe.xml"
        probe.write_text(PROBE_XML)
        self.ok("define", str(probe))
        self.ok("undefine", "probe")
        return bool(self.lifecycle("probe"))

    def _stop_watching(self) -> None:
        if self._watcher is not None:
            self._watcher.terminate()
            self._watcher.wait()
            self._watcher = None
