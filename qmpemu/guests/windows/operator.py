"""Whoever sits at the console of the simulated Windows: each method is one act, or one sentence why it cannot be.

    operator.log_on("Ada")      operator.edit_document("Report.docx")      operator.do("infect", "abort_shutdown")

Acts obey what is on the screen: a locked session takes none, a sleeping Windows only a key, a prompt only its answers.
`ACTIONS` lists them for command lines and QMP. Each is a fact, and the cause of what it leads to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qmpemu.guests.registry import GuestError, nearest
from qmpemu.guests.windows import desk, shutdown_exe, winerror
from qmpemu.guests.windows import system as life
from qmpemu.guests.windows.actions import (
    ACTIONS,
    OperatorActed,
    OperatorError,
    OperatorRefused,
    action,
    acts,
)
from qmpemu.guests.windows.faults import registry as faults
from qmpemu.guests.windows.serial_commands import MANUALLY_INITIATED_CRASH
from qmpemu.guests.windows.shutdown import POWER_OFF, REBOOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from qmpemu.guests.activity import Steps
    from qmpemu.guests.agent.session import Manner
    from qmpemu.guests.windows.running import Session
    from qmpemu.guests.windows.windows import Windows

__all__ = ["ACTIONS", "Operator", "OperatorError", "acts", "of"]


class Operator:
    """The one at the console of a booted Windows. wake: asks the machine to leave S3, as a key of its keyboard does."""

    __slots__ = ("_wake", "_windows")

    def __init__(self, windows: Windows, wake: Callable[[], object] | None = None) -> None:
        self._windows = windows
        self._wake = wake

    def do(self, name: str, argument: str = "") -> str:
        """Perform an act by name; what it shows, mostly nothing. Raises OperatorError."""
        known = ACTIONS.get(name)
        if known is None:
            raise OperatorError(f"action '{name}' does not exist: {nearest(name, ACTIONS)}")
        if argument and not known.argument:
            raise OperatorError(f"action '{name}' takes no argument, and got '{argument}'")
        if not argument and known.argument and not known.argument.startswith("["):
            raise OperatorError(f"action '{name}' needs its {known.argument}, as in {name}={known.argument}")
        return known.perform(self, argument)

    def performed(self, name: str, argument: str, act: Callable[[], str | None]) -> str:
        """Do it, as a root of causes of its own. Raises OperatorError."""
        facts, shown = self._windows.system.facts, [""]

        def run() -> None:
            facts.chain(OperatorActed(action=name, argument=argument))
            try:
                if not self._windows.system.platform.clock.alive:
                    raise OperatorError("this Windows has lost its power: nothing runs any more")
                shown[0] = act() or ""
            except GuestError as error:
                facts.publish(OperatorRefused(action=name, why=str(error)))
                raise OperatorError(str(error)) from None

        facts.run(None, run)
        return shown[0]

    # --- sessions ---------------------------------------------------------------------------------------------

    @action("[USER]")
    def log_on(self, user: str = "") -> None:
        """Log a user on; one who is logged on gets the locked session back."""
        self._must_run()
        windows, sessions = self._windows, self._windows.sessions
        user = user or windows.system.settings.DefaultUserName
        known = sessions.of(user)
        if known is not None:
            if not known.locked:
                raise OperatorError(f"'{known.user}' is logged on already")
            self._take_console(known)
            return
        if sessions.arriving:
            raise OperatorError(f"'{sessions.arriving}' is just logging on: wait for the desktop")
        windows.display.touch("operator")
        sessions.arriving = user
        windows.system.activities.start(self._arrive(user))

    @action("[USER]")
    def log_off(self, user: str = "") -> None:
        """Log a user off; without a name, the one who has the console."""
        self._must_run()
        sessions = self._windows.sessions
        session = sessions.of(user) if user else self._session("log off")
        if session is None:
            raise OperatorError(f"'{user}' is not logged on: {self._who()}")
        self._must_not_log_off()
        self._windows.display.touch("operator")
        self._windows.system.activities.start(sessions.log_off(session))

    @action()
    def lock(self) -> None:
        """Lock the session that has the console."""
        session = self._session("lock")
        self._windows.sessions.lock(session, "operator")
        self._windows.display.console_locked(True)

    @action("[USER]")
    def unlock(self, user: str = "") -> None:
        """Enter the password of a locked session."""
        self._must_run()
        sessions = self._windows.sessions
        session = sessions.of(user) if user else sessions.active
        if session is None:
            raise OperatorError(f"there is no session to unlock: {self._who()}")
        if not session.locked:
            raise OperatorError(f"the session of '{session.user}' is not locked")
        self._take_console(session)

    # --- display, sleep, keys ---------------------------------------------------------------------------------

    @action()
    def display_off(self) -> None:
        """Turn the display off."""
        self._must_run()
        if not self._windows.display.lit:
            raise OperatorError("the display is off already")
        self._windows.display.turn_off("operator")

    @action()
    def sleep(self) -> None:
        """Send Windows to sleep (S3)."""
        self._must_run()
        windows = self._windows
        if not windows.ospm.offers("S3"):
            raise OperatorError("this machine offers no S3")
        windows.system.activities.start(windows.power.sleep("S3"))

    @action()
    def press_key(self) -> None:
        """Press a key: lights a dark display, wakes a sleeping Windows."""
        if self._windows.system.phase == life.ASLEEP:
            if self._wake is None:
                raise OperatorError("no keyboard of this machine wakes it: use system_wakeup")
            self._wake()
            return
        self._must_live()
        self._windows.display.touch("key")

    # --- documents --------------------------------------------------------------------------------------------

    @action("NAME")
    def open_document(self, name: str) -> None:
        """Open a document in the program for its kind."""
        desk.open_document(self._windows.system, self._session("open a document"), name)

    @action("NAME")
    def edit_document(self, name: str) -> None:
        """Change a document, which is opened if it is not; the changes are in memory only."""
        desk.edit_document(self._windows.system, self._session("edit a document"), name)

    @action("NAME")
    def save_document(self, name: str) -> None:
        """Save an open document."""
        desk.save_document(self._windows.system, self._session("save a document"), name)

    # --- prompts ----------------------------------------------------------------------------------------------

    @action("[ANSWER]")
    def answer_prompt(self, answer: str = "") -> str:
        """Answer what Windows asks at the console; without an answer, the first that it offers."""
        self._must_live()
        prompt = self._windows.system.prompts.front
        if prompt is None:
            raise OperatorError("there is nothing to answer: no prompt is shown")
        answer = answer or prompt.answers[0]
        if not prompt.takes(answer):
            raise OperatorError(
                f"'{prompt.text}' cannot be answered with '{answer}': {nearest(answer, prompt.answers)}"
            )
        prompt.answer(answer)
        return f"{prompt.text}: {answer}"

    # --- what goes wrong --------------------------------------------------------------------------------------

    @action("NAME")
    def hang_app(self, name: str) -> None:
        """Make a program of the console's session stop answering; it is started if it does not run."""
        self._must_run()
        faults.attach(self._windows, "hang_app", name)

    @action("NAME")
    def veto_app(self, name: str) -> None:
        """Make a program of the console's session refuse to end; it is started if it does not run."""
        self._must_run()
        faults.attach(self._windows, "veto_app", name)

    @action("NAME")
    def hang_service(self, name: str) -> None:
        """Make a service not stop when it is told to; it is installed if there is none of that name."""
        self._must_run()
        faults.attach(self._windows, "hang_service", name)

    @action("NAME")
    def service_error(self, name: str) -> None:
        """Let a service end with an error; it is installed if there is none of that name."""
        self._must_run()
        faults.attach(self._windows, "service_error", name)

    @action("NAME")
    def stop_service(self, name: str) -> None:
        """Stop a service; the guest agent's is QEMU-GA."""
        self._must_run()
        self._windows_says(self._windows.services.stop_one(name))

    @action("NAME")
    def start_service(self, name: str) -> None:
        """Start an installed service that does not run."""
        self._must_run()
        self._windows_says(self._windows.services.start_one(name))

    @action("[COMMAND]")
    def agent_dies_at(self, command: str = "") -> None:
        """Let the guest agent's process end at a command (`*`: any), or at none any more."""
        self._manner(command).dies_at = command

    @action("[COMMAND]")
    def agent_hangs_at(self, command: str = "") -> None:
        """Let the guest agent hang at a command (`*`: any), or at none any more."""
        self._manner(command).hangs_at = command

    def _manner(self, command: str) -> Manner:
        """How the agent works, to be changed for `command`."""
        from qmpemu.guests.agent import registry

        registry.load()
        if command not in ("", "*", *registry.COMMANDS):
            hint = nearest(command, registry.COMMANDS)
            raise OperatorError(f"'{command}' is no command of the guest agent: {hint}")
        if self._windows.agent is None:
            raise OperatorError("no guest agent is installed in this Windows")
        return self._windows.agent.manner

    @action("NAME")
    def stall_driver(self, name: str) -> None:
        """Make a driver keep the power IRP that switches the machine off; it is installed if there is none."""
        self._must_run()
        faults.attach(self._windows, "stall_driver", name)

    @action()
    def stop_feeding(self) -> None:
        """Let the driver of the watchdog device feed it no more."""
        self._must_run()
        if not self._windows.watchdog.feeds:
            raise OperatorError("no watchdog is fed: a device i6300esb and the setting watchdog_s make it so")
        self._windows.watchdog.feeds = False

    @action()
    def hang(self) -> None:
        """Let Windows hang: nothing in it goes on, and it hears nothing but an NMI."""
        self._must_live()
        self._windows.hang()

    @action()
    def crash(self) -> None:
        """Crash Windows, as the keyboard's crash sequence does (bugcheck 0xE2)."""
        self._must_live()
        self._windows.bugcheck(MANUALLY_INITIATED_CRASH, "MANUALLY_INITIATED_CRASH")

    @action("[KIND]")
    def stage_update(self, kind: str = "") -> None:
        """Make an update wait for the next shutdown: quick, slow or stuck."""
        self._must_run()
        self._windows.update.stage(kind)

    @action("KIND")
    def infect(self, kind: str) -> None:
        """Damage Windows itself, as malware does."""
        self._must_run()
        if faults.find(kind, faults.infections()).name in self._windows.infections:
            raise OperatorError(f"Windows is damaged by '{kind}' already")
        self._windows.infect(kind)

    # --- shutdown.exe -----------------------------------------------------------------------------------------

    @action("ARGS")
    def shutdown_exe(self, args: str) -> None:
        """Run shutdown.exe with these arguments in the console's session."""
        self._must_live()
        order = shutdown_exe.parse(args)
        initiated = self._windows.initiated
        if order.what == "a":
            self._windows_says(initiated.abort())
            return
        session = self._session("run shutdown.exe")
        if order.what == "l":
            self._must_not_log_off()
            self._windows.system.activities.start(self._windows.sessions.log_off(session))
        elif order.what == "h":
            self._hibernate()
        else:
            goal = REBOOT if order.what == "r" else POWER_OFF
            self._windows_says(
                initiated.initiate(
                    goal,
                    order.timeout_s,
                    force=order.force,
                    reason=order.reason,
                    comment=order.comment,
                    hybrid=order.hybrid,
                )
            )

    def _hibernate(self) -> None:
        windows = self._windows
        if not windows.ospm.offers("S4"):
            raise OperatorError("this machine offers no S4")
        windows.system.activities.start(windows.power.sleep("S4"))

    def _windows_says(self, code: int) -> None:
        if code:
            raise OperatorError(f"{winerror.TEXTS[code]}({code})")

    # --- what must be so --------------------------------------------------------------------------------------

    def _must_live(self) -> None:
        """Windows has a screen and takes input."""
        phase = self._windows.system.phase
        if phase == life.ASLEEP:
            raise OperatorError("Windows is asleep: wake it first, with press_key or system_wakeup")
        if phase not in (life.RUNNING, life.STOPPING):
            raise OperatorError(f"Windows takes no input: its phase is '{phase}'")

    def _must_run(self) -> None:
        """Windows is up and not on its way down."""
        self._must_live()
        if self._windows.system.phase == life.STOPPING:
            raise OperatorError("Windows is shutting down: it only takes answers to its prompts")
        if not self._windows.shutdown.booted.is_open:
            raise OperatorError("Windows is still starting: wait for its log-on screen")

    def _must_not_log_off(self) -> None:
        """No log-off is under way: there is one at a time."""
        user = self._windows.sessions.logging_off
        if user:
            raise OperatorError(f"'{user}' is being logged off already")

    def _session(self, what: str) -> Session:
        """The session that has the console, unlocked; using it lights the display."""
        self._must_run()
        session = self._windows.sessions.active
        if session is None:
            raise OperatorError(f"nobody is logged on to {what}: log somebody on first")
        if session.locked:
            raise OperatorError(f"the session of '{session.user}' is locked: unlock it first")
        self._windows.display.touch("operator")
        return session

    def _take_console(self, session: Session) -> None:
        self._windows.display.console_locked(False)
        self._windows.display.touch("operator")
        self._windows.sessions.unlock(session)

    def _who(self) -> str:
        users = self._windows.sessions.users()
        return f"logged on are {', '.join(users)}" if users else "nobody is logged on"

    def _arrive(self, user: str) -> Steps[None]:
        system, sessions = self._windows.system, self._windows.sessions
        yield system.boot_ns(system.settings.logon_ms)
        sessions.arriving = ""
        if system.phase == life.RUNNING:
            sessions.log_on(user)
            self._windows.display.console_locked(False)


def of(guest: Any, wake: Callable[[], object] | None = None) -> Operator:
    """The operator of a machine's guest, or of none. Raises OperatorError when no Windows is loaded."""
    from qmpemu.guests.windows.windows import Windows

    if not isinstance(guest, Windows):
        raise OperatorError("no Windows runs on this machine now: it is off, or was just reset")
    return Operator(guest, wake)
