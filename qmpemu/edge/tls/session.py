"""One connection's TLS. Sans-IO: records in, plain bytes out, and the other way; what is to be sent is `owed`.

handshake ──done, the peer is who it should be──> secured ──end or nonsense──> failed
    └──────────────────────────> failed: `failure` in QEMU's words, with GnuTLS' behind them
"""

from __future__ import annotations

import ssl

from qmpemu.edge.layers import Layer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READ_BYTES = 1 << 16
NO_ISSUER = (2, 20, 21)
"""OpenSSL's X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, ..._LOCALLY, UNABLE_TO_VERIFY_LEAF_SIGNATURE."""
SELF_SIGNED = (18, 19)
REVOKED = 23
ENDED = "The TLS connection was non-properly terminated."


class Session(Layer):
    """must_match: a name that the peer's certificate has to be for, "" is none to be had, None is not looked at."""

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        server: bool,
        name: str = "",
        must_match: str | None = None,
        allows: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__()
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=server, server_hostname=name or None)
        self._must_match, self._allows = must_match, allows
        self._verifies = context.verify_mode != ssl.CERT_NONE
        self._early = bytearray()
        self.verify_code = 0
        """OpenSSL's number of what is wrong with the peer's certificate."""
        self._advance()

    @property
    def subject(self) -> str:
        """Whom the peer's certificate names; "" if it showed none."""
        from qmpemu.edge.tls.certificate import Certificate

        der = self._tls.getpeercert(binary_form=True) if self.secured else None
        return Certificate(der).subject if der else ""

    def received(self, wire: bytes) -> bytes:
        """Records -> the plain bytes in them."""
        if self.failure:
            return b""
        self._in.write(wire)
        if not self.secured:
            self._advance()
        return self._plain() if self.secured else b""

    def sending(self, plain: bytes) -> bytes:
        """Plain bytes -> records; before the handshake is done they wait for it."""
        if self.failure:
            return b""
        if not self.secured:
            self._early += plain
            return b""
        view = memoryview(plain)
        while view:
            view = view[self._tls.write(view) :]
        return self.owed()

    def owed(self) -> bytes:
        """What the protocol itself has to say."""
        return self._out.read()

    def ended(self) -> None:
        """The connection is gone."""
        if not self.secured and not self.failure:
            self._fail(f"TLS handshake failed: {ENDED}")

    def _advance(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLCertVerificationError as error:
            self.verify_code = error.verify_code
            self._fail(why_not_verified(self.verify_code))
            return
        except ssl.SSLError as error:
            self._fail(_why(error))
            return
        self.secured = True
        why = self._why_not_them()
        if why:
            self.secured = False
            self._fail(why)
            return
        early, self._early = bytes(self._early), bytearray()
        if early:
            self._tls.write(early)

    def _why_not_them(self) -> str:
        """What speaks against the peer, by what its certificate says; "" for nothing."""
        if self._must_match is not None:
            if not self._must_match:
                return "No hostname for certificate validation"
            from qmpemu.edge.tls.peer import is_for

            if not is_for(self._tls.getpeercert() or {}, self._must_match):
                return f"Certificate does not match the hostname {self._must_match}"
        return self._allows(self.subject) if self._allows is not None and self._verifies else ""

    def _plain(self) -> bytes:
        made = bytearray()
        try:
            while piece := self._tls.read(READ_BYTES):
                made += piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:  # an alert, or no record at all
            self._fail("Cannot read from TLS channel: Input/output error")
        return bytes(made)

    def _fail(self, why: str) -> None:
        self.failure = why


def why_not_verified(code: int) -> str:
    """QEMU's reason for OpenSSL's number."""
    if code in NO_ISSUER or code in SELF_SIGNED:
        return "The certificate hasn't got a known issuer"
    return "The certificate has been revoked" if code == REVOKED else "The certificate is not trusted"


def _why(error: ssl.SSLError) -> str:
    """GnuTLS' words for what OpenSSL met in a handshake."""
    reason = error.reason or ""
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "Verify failed: No certificate was found."
    if "ALERT" in reason:
        words = "A TLS fatal alert has been received."
    elif reason in ("UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE"):
        words = "A packet with illegal or unsupported version was received."
    elif reason == "NO_SHARED_CIPHER":
        words = "No supported cipher suites have been found."
    else:
        words = "An unexpected TLS packet was received."
    return f"TLS handshake failed: {words}"
