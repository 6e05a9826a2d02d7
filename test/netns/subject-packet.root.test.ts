/*
 * Packet sockets of a subject: the hooks of cgroups do not see them, the interface does, and judges them by the subject's
 * policy. The lab is that of subject-lab.ts; A is a subject beside a policy of the host's interface.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { HOST } from '../lab/topology.ts';
import { webAddress } from './learning-lab.ts';
import { createSubjectLab, type SubjectLab } from './subject-lab.ts';

const HOSTS = webAddress(1).v4;
const SUBJECTS = webAddress(2).v4;
const NOBODYS = '198.51.100.66';
const BY_INTERFACE = ['-iface=eth0', '-eface=eth0'];

/** Sends a datagram to the echo at an address by a packet socket, and says whether its answer came. */
const SCRIPT = `
import socket, struct, sys
source, destination, mac = sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3].replace(':', ''))
payload = b'packet socket'
udp = struct.pack('!HHHH', 4444, 7, 8 + len(payload), 0) + payload
def header(checksum):
    return struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(udp), 1, 0, 64, 17, checksum,
                       socket.inet_aton(source), socket.inet_aton(destination))
total = sum(struct.unpack('!10H', header(0)))
while total >> 16:
    total = (total & 0xffff) + (total >> 16)
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
s.settimeout(1)
s.sendto(header(~total & 0xffff) + udp, ('eth0', 0x0800, 0, 1, mac))
try:
    while True:
        data, address = s.recvfrom(2000)
        if address[2] == 0 and payload in data and data[12:16] == socket.inet_aton(destination):
            print('answered')
            break
except OSError:
    print('silence')
`;

describe('packet sockets of a subject', () => {
  let lab: SubjectLab;
  let mac: string;
  let script: string;
  before(async () => {
    lab = await createSubjectLab();
    script = join(lab.host.directory, 'packet.py');
    writeFileSync(script, SCRIPT);
    lab.host.must('ping', ['-c1', '-W1', HOSTS]);
    mac = /lladdr (\S+)/u.exec(lab.host.must('ip', ['neigh', 'show', 'dev', 'eth0']))?.[1] ?? '';
  });
  after(() => lab.close());

  async function sends(place: Pick<SubjectLab['a'], 'runAsync'>, to: string): Promise<string> {
    const done = await place.runAsync('python3', [script, HOST.v4, to, mac]);
    return done.stdout.trim() || done.stderr;
  }

  test("are judged by the subject's policy where they leave, not by nobody's", async (context) => {
    assert.equal(await sends(lab.a, NOBODYS), 'answered', 'before');
    const enforcer = await lab.judgeBy(
      context,
      [
        { rules: [{ cidrs: [HOSTS] }] },
        { subject: `cgroup:${lab.a.path}`, rules: [{ cidrs: [SUBJECTS], ports: ['7/udp'] }] },
      ],
      BY_INTERFACE,
    );
    assert.equal(await sends(lab.a, NOBODYS), 'silence');
    assert.equal(await sends(lab.a, HOSTS), 'silence');
    assert.equal(await sends(lab.a, SUBJECTS), 'answered');
    assert.equal(await sends(lab.host, HOSTS), 'answered');
    assert.equal(await sends(lab.host, SUBJECTS), 'silence');
    assert.equal(await lab.came(lab.a, 'udp4', SUBJECTS, '7'), 'ok', 'other sockets go on');
    await enforcer.stop();
    assert.equal(await sends(lab.a, NOBODYS), 'answered', 'after');
  });
});
