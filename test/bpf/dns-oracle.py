"""What dnspython reads of DNS messages: an oracle for the kernel's parser and for src/dns/decode-answer.ts.

Reads batches of messages from stdin: their number, then each behind its length (4 bytes, big endian each). Writes a
line for each message:
STATUS, a space, and the addresses (hex, comma separated) of the A and AAAA records whose owner can be reached from
the question by CNAME records, all of the answer section. STATUS is

answers    well-formed to the last byte, no error, and dnspython's own resolve_chaining finds an address
nothing    as that, and it finds none
damaged    every record can be walked, rdata of some can't be read
odd        an EDNS or TSIG record stands where dnspython takes none, and it reads no further
error      a response with an rcode, truncated, or of another opcode, class or number of questions
malformed  what is left: nothing may be learned
"""
import struct
import sys

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rdataclass
import dns.rdatatype

A, AAAA, CNAME = dns.rdatatype.A, dns.rdatatype.AAAA, dns.rdatatype.CNAME
IN = dns.rdataclass.IN
ODD = (dns.message.BadEDNS, dns.message.BadTSIG)


def addresses_on_chain(message):
    """A message read with one_rr_per_rrset, so that each record is a set of its own."""
    aliases = {}
    for rrset in message.answer:
        if rrset.rdclass == IN and rrset.rdtype == CNAME and len(rrset):
            aliases.setdefault(rrset.name, []).append(rrset[0].target)
    reached = {message.question[0].name}
    left = list(reached)
    while left:
        for target in aliases.get(left.pop(), ()):
            if target not in reached:
                reached.add(target)
                left.append(target)
    return {
        rrset[0].to_wire().hex()
        for rrset in message.answer
        if rrset.rdclass == IN and rrset.rdtype in (A, AAAA) and len(rrset) and rrset.name in reached
    }


def walk(wire):
    """The message as far as it can be walked, and whether that is to its end: a byte behind it is then left over."""
    message = dns.message.from_wire(wire + b'\0', one_rr_per_rrset=True, continue_on_error=True)
    last = message.errors[-1] if message.errors else None
    return message, last and isinstance(last.exception, dns.message.TrailingJunk) and last.offset == len(wire)


def is_answer(message):
    flags = message.flags
    return (
        message.opcode() == dns.opcode.QUERY
        and flags & dns.flags.QR
        and not flags & dns.flags.TC
        and flags & 0xF == 0
        and len(message.question) == 1
        and message.question[0].rdclass == IN
    )


def resolves(wire):
    """Whether dnspython itself follows the chain to an address."""
    try:
        return dns.message.from_wire(wire).resolve_chaining().answer is not None
    except (dns.exception.DNSException, NotImplementedError):
        return False


def read(wire):
    if len(wire) < 12:
        return 'malformed', ()
    try:
        strict = dns.message.from_wire(wire, one_rr_per_rrset=True)
    except ODD:
        return 'odd', ()
    except Exception:  # whatever it trips over: it then says less than it could
        strict = None
    try:
        message, is_whole = (strict, True) if strict is not None else walk(wire)
    except Exception:
        return 'malformed', ()
    if not is_whole:
        return 'malformed', ()
    if not is_answer(message):
        return 'error', ()
    found = addresses_on_chain(message)
    if strict is None:
        return 'damaged', found
    wanted = message.question[0].rdtype in (A, AAAA)
    return ('answers' if wanted and found and resolves(wire) else 'nothing'), found


def main():
    source, sink = sys.stdin.buffer, sys.stdout
    while count := source.read(4):
        for _ in range(struct.unpack('!I', count)[0]):
            status, found = read(source.read(struct.unpack('!I', source.read(4))[0]))
            sink.write(f'{status} {",".join(sorted(found))}\n')
        sink.flush()


if __name__ == '__main__':
    main()
