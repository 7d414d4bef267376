# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A public key infrastructure of the tests' own in the shape of Intel's: root, platform CA, a PCK
# certificate with its SGX extension, a TCB signing certificate, and revocation lists. Needs Debian's
# python3-cryptography. None of it is trusted by anything but --root-ca.

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

AT = datetime.datetime(2026, 6, 1)  # when the tests take place
DAY = datetime.timedelta(days=1)
SGX_OID = "1.2.840.113741.1.13.1"
FMSPC, PCEID = "b0c06f000000", "0000"


def der(tag, *parts):
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(digits)]) + digits + body


def der_integer(number):
    return der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _member(*path, value):
    return der(0x30, der(0x06, bytes.fromhex("2a864886f84d010d01") + bytes(path)), value)


def sgx_extension(components=(5,) * 16, pcesvn=13, cpusvn=None, fmspc=FMSPC, pceid=PCEID, leave_out=()):
    """The DER of the extension of a PCK certificate."""
    tcb = [_member(2, i + 1, value=der_integer(svn)) for i, svn in enumerate(components)]
    tcb.append(_member(2, 17, value=der_integer(pcesvn)))
    tcb.append(_member(2, 18, value=der(0x04, cpusvn or bytes(components))))
    members = {1: der(0x04, bytes(16)), 2: der(0x30, *tcb), 3: der(0x04, bytes.fromhex(pceid)),
               4: der(0x04, bytes.fromhex(fmspc)), 5: der(0x0a, b"\1")}
    return der(0x30, *(_member(id, value=value) for id, value in members.items() if id not in leave_out))


class Entity:
    """A key and its certificate, signed by ISSUER (itself if that is None)."""

    def __init__(self, name, issuer=None, ca=True, before=AT - 300 * DAY, after=AT + 3000 * DAY, extension=None,
                 curve=ec.SECP256R1, hash=hashes.SHA256):
        self.key = ec.generate_private_key(curve())
        self.issuer = issuer or self
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = (x509.CertificateBuilder().subject_name(self.name).issuer_name(self.issuer.name)
                   .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(before).not_valid_after(after)
                   .add_extension(x509.BasicConstraints(ca, None), True)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.issuer.key.public_key()), False)
                   .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), True))
        if extension is not None:
            builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(SGX_OID), extension), False)
        self.certificate = builder.sign(self.issuer.key, hash())

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def crl(self, revoked=(), before=AT - 2 * DAY, after=AT + 20 * DAY, signer=None):
        """The revocation list this one issues, DER."""
        builder = (x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(before).next_update(after)
                   .add_extension(x509.CRLNumber(1), False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False))
        for entity in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(entity.certificate.serial_number)
                .revocation_date(before).build())
        return builder.sign((signer or self).key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def sign(key, message):
    """r || s, as quotes and collateral have it."""
    r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def public_bytes(key):
    """x || y."""
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)[1:]


class Pki:
    """All of them. What is given replaces that entity's arguments: Pki(pck={"after": ...})."""

    def __init__(self, root={}, ca={}, pck={}, tcb={}, platform={}):
        self.root = Entity(**{"name": "Intel SGX Root CA", **root})
        self.ca = Entity(**{"name": "Intel SGX PCK Platform CA", "issuer": self.root, **ca})
        self.pck = Entity(**{"name": "Intel SGX PCK Certificate", "issuer": self.ca, "ca": False,
                             "extension": sgx_extension(**platform), **pck})
        self.tcb = Entity(**{"name": "Intel SGX TCB Signing", "issuer": self.root, "ca": False, **tcb})

    def chain(self):
        return self.pck.pem() + self.ca.pem() + self.root.pem()
