/*
 * Answers that a process of the host forges with a packet socket on lo, where the trusted resolver is on the wire. The lab
 * is that of subject-lab.ts; reverse path filters are off, as on a kernel nobody has configured.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Place } from '../lab/clients.ts';
import { HOST } from '../lab/topology.ts';
import { isRefused, passes, webAddress } from './learning-lab.ts';
import { createSubjectLab, RESOLVER, type SubjectLab } from './subject-lab.ts';

const NAME = 'one.ok.example';
const ALLOW = ['-cn=.ok.example'];
const TRUE = webAddress(1);
const FORGED = { 4: '203.0.113.200', 6: '2001:db8:2::200' };

/*
 * ASKER RESOLVER ADDRESS: asks the resolver for the name, and at the same instant puts an answer of its own on lo, with
 * ADDRESS. Prints whether the socket took that.
 */
const SCRIPT = `
import socket, struct, sys
asker, resolver, address = sys.argv[1:4]
family = socket.AF_INET6 if ':' in asker else socket.AF_INET
name = b''.join(bytes([len(label)]) + label for label in b'${NAME}'.split(b'.')) + b'\\0'
question = name + struct.pack('!HH', 28 if family == socket.AF_INET6 else 1, 1)
record = b'\\xc0\\x0c' + question[-4:] + struct.pack('!IH', 300, 16 if family == socket.AF_INET6 else 4)
answer = struct.pack('!6H', 7, 0x8180, 1, 1, 0, 0) + question + record + socket.inet_pton(family, address)
s = socket.socket(family, socket.SOCK_DGRAM)
s.settimeout(2)
s.bind((asker, 0))
port = s.getsockname()[1]

def total(data):
    data += b'\\0' * (len(data) % 2)
    words = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while words >> 16:
        words = (words & 0xffff) + (words >> 16)
    return ~words & 0xffff

source, target = socket.inet_pton(family, resolver), socket.inet_pton(family, asker)
length = 8 + len(answer)
udp = lambda check: struct.pack('!4H', 53, port, length, check) + answer
check = total(source + target + struct.pack('!II', length, 17) + udp(0)) or 0xffff
if family == socket.AF_INET:
    header = lambda check: struct.pack('!BBHHHBBH', 0x45, 0, 20 + length, 1, 0, 64, 17, check) + source + target
    packet, ethertype = header(total(header(0))) + udp(check), 0x0800
else:
    packet, ethertype = struct.pack('!IHBB', 6 << 28, length, 17, 64) + source + target + udp(check), 0x86dd
raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
s.sendto(struct.pack('!6H', 7, 0x100, 1, 0, 0, 0) + question, (resolver, 53))
raw.sendto(packet, ('lo', ethertype, 0, 0, b'\\0' * 6))
print('forged' if s.recv(2000) == answer else 'true')
`;

describe('an answer forged on lo', () => {
  let lab: SubjectLab;
  let script: string;
  before(async () => {
    lab = await createSubjectLab();
    script = join(lab.host.directory, 'forge.py');
    writeFileSync(script, SCRIPT);
    for (const device of ['all', 'lo', 'eth0'])
      lab.host.must('sysctl', ['-qw', `net.ipv4.conf.${device}.rp_filter=0`]);
    // The resolver is silent to who forges, so what is forged comes first.
    lab.lab.dns.must('nft', [
      'table inet silent { chain in { type filter hook input priority 0; udp dport 53 @th,64,16 7 drop; }; }',
    ]);
  });
  after(() => lab.close());

  async function forges(place: Place, family: 4 | 6): Promise<string> {
    const [asker, resolver] = family === 4 ? [HOST.v4, RESOLVER.v4] : [HOST.v6, RESOLVER.v6];
    const done = await place.runAsync('python3', [script, asker, resolver, FORGED[family]]);
    return done.stdout.trim() || done.stderr;
  }

  for (const [where, flags] of [
    ['a subject', undefined],
    ['the host, which learns on lo too,', ['-iface=eth0', '-iface=lo', '-eface=eth0']],
  ] as const) {
    for (const family of [4, 6] as const) {
      test(`teaches ${where} nothing over IPv${family}, the true one does`, async (context) => {
        const place = flags ? lab.host : lab.a;
        const enforcer = flags
          ? await lab.enforce(context, [...flags, ...ALLOW])
          : await lab.judge(context, [lab.a], ALLOW);
        assert.equal(await forges(place, family), 'forged', 'the socket takes it');
        await isRefused(place, FORGED[family]);
        await passes(place, NAME, { args: [`-${family}`] });
        await passes(place, family === 4 ? TRUE.v4 : TRUE.v6);
        await isRefused(place, FORGED[family]);
        await enforcer.stop();
        await passes(place, FORGED[family]);
      });
    }
  }
});
