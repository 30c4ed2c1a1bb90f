"""TLS credentials (`tls-creds-x509`): a directory's PEM files, read and looked through when the object is made.

The order of what is looked at, and the texts, are QEMU's (measured on 7.2). GnuTLS' own words stand behind them, where
the real one shows them.
"""

from __future__ import annotations

import ssl
from time import time

from qmpemu.core.table import Refused
from qmpemu.edge.tls import certificate as x509
from qmpemu.edge.tls.certificate import Certificate, NoCertificate
from qmpemu.edge.tls.session import Session, why_not_verified

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

WRONG_PURPOSE = 26
"""OpenSSL's X509_V_ERR_INVALID_PURPOSE: QEMU lets purposes be that are not critical."""
PURPOSES = {"server": x509.SERVER_AUTH, "client": x509.CLIENT_AUTH}
CA, CRL, DH = "ca-cert.pem", "ca-crl.pem", "dh-params.pem"


class Credentials:
    """One object's. given: its properties; secret: the text of a secret by its id. Raises Refused."""

    def __init__(self, given: dict[str, object], secret: Callable[[str], str]) -> None:
        if "dir" not in given:
            raise Refused("Missing 'dir' property value")
        if given.get("priority", "") not in ("", "NORMAL"):
            raise Refused("qmpemu does not emulate tls-creds-x509 with 'priority'")
        self._folder = str(given["dir"])
        self.endpoint = str(given.get("endpoint", "client"))
        self.verifies_peer = bool(given.get("verify-peer", True))
        self._given = given
        self._secret = secret
        self.load()

    def load(self) -> None:
        """Read the files, as at the beginning, so again: what was read before stays where they are refused."""
        kind = self.endpoint
        ca = self._path(CA, needed=True)
        crl = self._path(CRL, needed=False)
        own = self._path(f"{kind}-cert.pem", needed=kind == "server")
        key = self._path(f"{kind}-key.pem", needed=kind == "server")
        if self._given.get("sanity-check", True):
            self._look_through(ca, own)
        else:
            self._certificates(ca, f"Cannot load CA certificate '{ca}'")
        context = self._context()
        context.load_verify_locations(ca)
        if own and key:
            self._load_own(context, own, key)
            if self._given.get("sanity-check", True):
                self._verify_own(context, ca, own)
        if crl:
            context.load_verify_locations(crl)
            context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
        if kind == "server" and (parameters := self._path(DH, needed=False)):
            context.load_dh_params(parameters)
        self._ready = context

    def session(
        self, endpoint: str, hostname: str = "", allows: Callable[[str], str] | None = None
    ) -> Session:
        """A connection's TLS, not begun. hostname: that the peer has to show; allows(subject): "" or why not.

        Raises Refused for credentials of the other end.
        """
        self.must_be(endpoint)
        checks = hostname if endpoint == "client" and self.verifies_peer else None
        return Session(
            self._ready, server=endpoint == "server", name=hostname, must_match=checks, allows=allows
        )

    def must_be(self, endpoint: str) -> None:
        """Whether they are for that end of a connection. Raises Refused."""
        if endpoint != self.endpoint:
            raise Refused(f"Expected TLS credentials for a {endpoint} endpoint")

    def _path(self, name: str, *, needed: bool) -> str:
        """The file's path; "" for one that is not there and not needed. Raises Refused."""
        path = f"{self._folder}/{name}"
        try:
            with open(path, "rb"):
                return path
        except OSError as error:
            if not needed and isinstance(error, FileNotFoundError):
                return ""
            raise Refused(f"Unable to access credentials {path}: {error.strerror}") from None

    def _context(self) -> ssl.SSLContext:
        server = self.endpoint == "server"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # done after the handshake, as QEMU does
        context.verify_mode = ssl.CERT_REQUIRED if self.verifies_peer else ssl.CERT_NONE
        return context

    def _look_through(self, ca: str, own: str) -> None:
        """Refuse what could not be used later."""
        mine = self._certificates(
            own, f"Unable to import {self.endpoint} certificate {own}: Base64 unexpected header error."
        )
        roots = self._certificates(ca, f"Unable to import CA certificate list {ca}")
        for each in mine[:1]:
            self._check(each, own, self.endpoint)
        for each in roots:
            self._check(each, ca, "CA")

    @staticmethod
    def _certificates(path: str, wrong: str) -> list[Certificate]:
        if not path:
            return []
        try:
            with open(path, "rb") as file:
                return [Certificate(each) for each in x509.certificates(file.read())]
        except NoCertificate:
            raise Refused(wrong) from None

    @staticmethod
    def _check(found: Certificate, path: str, role: str) -> None:
        """role: server, client or CA."""
        now_s = time()
        if found.not_after_s < now_s:
            raise Refused(f"The {role} certificate {path} has expired")
        if found.not_before_s > now_s:
            raise Refused(f"The {role} certificate {path} is not yet active")
        if role != "CA":
            if found.is_ca:
                raise Refused(
                    f"The certificate {path} basic constraints show a CA, but we need one for a {role}"
                )
            if not found.permits(x509.DIGITAL_SIGNATURE):
                raise Refused(f"Certificate {path} usage does not permit digital signature")
            if not found.allows(PURPOSES[role]):
                raise Refused(f"Certificate {path} purpose does not allow use with a TLS {role}")
        elif found.is_ca is None:
            raise Refused(f"The certificate {path} is missing basic constraints for a CA")
        elif not found.is_ca:
            raise Refused(f"The certificate {path} basic constraints do not show a CA")
        elif not found.permits(x509.CERTIFICATE_SIGNING):
            raise Refused(f"Certificate {path} usage does not permit certificate signing")

    def _load_own(self, context: ssl.SSLContext, own: str, key: str) -> None:
        name = self._given.get("passwordid")
        password = self._secret(str(name)) if name else ""
        try:
            context.load_cert_chain(own, key, lambda: password)
        except ssl.SSLError as error:
            why = "The requested data were not available."
            if error.reason == "KEY_VALUES_MISMATCH":
                why = "The certificate and the given key do not match."
            raise Refused(f"Cannot load certificate '{own}' & key '{key}': {why}") from None

    def _verify_own(self, context: ssl.SSLContext, ca: str, own: str) -> None:
        """By a handshake with ourselves: `ssl` verifies nothing but a peer."""
        judge = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        judge.check_hostname = False
        judge.load_verify_locations(ca)
        shows = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._load_own(shows, own, f"{self._folder}/{self.endpoint}-key.pem")
        one, other = Session(judge, server=False), Session(shows, server=True)
        while not one.secured and not one.failure:
            before = one.owed()
            other.received(before)
            answer = other.owed()
            if not before and not answer:
                break
            one.received(answer)
        if one.failure and one.verify_code != WRONG_PURPOSE:
            why = why_not_verified(one.verify_code)
            raise Refused(f"Our own certificate {own} failed validation against {ca}: {why}")
