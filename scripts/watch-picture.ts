/*
 * `make picture`: writes docs/watch.svg, what `watch` shows of a real enforcer in the lab of `make demo` while programs
 * connect to hosts that are allowed and hosts that are not.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCheckout, findCli } from '../test/lab/checkout.ts';
import { Pty } from '../test/lab/pty.ts';
import { addressRecords } from '../test/lab/records.ts';
import { startDnsmasq } from '../test/lab/resolvers.ts';
import { startWeb } from '../test/lab/servers.ts';
import { createLab, type Lab, RESOLVERS } from '../test/lab/topology.ts';
import { renderSvg } from './terminal-svg.ts';

const LIMIT_MS = 20_000;
const [COLUMNS, ROWS] = [104, 30];
const INSTANCE = `-instance=picture`;
const FLAGS = [
  '-iface=eth0',
  '-eface=eth0',
  '-preset=npm,github',
  '-cn=.debian.org',
  '-cidr=203.0.113.10',
  INSTANCE,
];
const ALLOWED = [
  'registry.npmjs.org',
  'github.com',
  'api.github.com',
  'deb.debian.org',
  'security.debian.org',
];
const OTHERS = [
  'telemetry.example.com',
  'tracker.example.net',
  'pastebin.example.org',
  'updates.example.com',
];

/* curl, wget, python3 and bash, as often as stands behind each. */
const PROGRAMS: readonly (readonly [times: number, argv: readonly [string, ...string[]]])[] = [
  [9, ['curl', '-skm2', '-o/dev/null', 'https://registry.npmjs.org/']],
  [6, ['curl', '-skm2', '-o/dev/null', 'https://github.com/']],
  [4, ['curl', '-skm2', '-o/dev/null', 'https://api.github.com/']],
  [5, ['python3', '-c', fetchBy('deb.debian.org', 80)]],
  [2, ['python3', '-c', fetchBy('security.debian.org', 80)]],
  [7, ['curl', '-skm2', 'https://telemetry.example.com/']],
  [4, ['python3', '-c', fetchBy('tracker.example.net', 443)]],
  [3, ['curl', '-sm2', 'http://registry.npmjs.org/']],
  [3, ['bash', '-c', 'echo >/dev/tcp/198.51.100.99/22']],
  [2, ['bash', '-c', 'echo >/dev/udp/203.0.113.53/53']],
  [1, ['curl', '-skm2', 'https://pastebin.example.org/']],
  [2, ['curl', '-sm2', '-o/dev/null', 'http://203.0.113.10/']],
];

function fetchBy(host: string, port: number): string {
  return `import socket; socket.create_connection(('${host}', ${port}), 2).close()`;
}

async function takePicture(lab: Lab): Promise<string> {
  const [{ v4 }] = RESOLVERS;
  const records = [...ALLOWED, ...OTHERS].flatMap((name, index) =>
    addressRecords(name, [`198.51.100.${index + 10}`]),
  );
  await Promise.all([startDnsmasq(lab.dns, { addresses: [v4], records }), startWeb(lab.web)]);
  lab.host.useResolvConf(`nameserver ${v4}\n`);
  const enforcer = lab.host.spawn(findCli(), FLAGS);
  await enforcer.waitForLine(/^enforcing/u, LIMIT_MS);
  using pty = new Pty([findCli(), 'watch', INSTANCE], COLUMNS, ROWS, { FORCE_COLOR: '1' });
  await pty.waitFor(/enforcing/u);
  for (let round = 0; round < 9; round++)
    for (const [times, [program, ...args]] of PROGRAMS)
      if (round < times) await lab.host.runAsync(program, args);
  await pty.waitFor(/leases [5-9][\s\S]*203\.0\.113\.10/u);
  const picture = renderSvg(pty, 'l7egg-cli watch: the busiest targets, and events as they come');
  pty.press('q');
  await pty.exited;
  await enforcer.stop();
  return picture;
}

const lab = createLab();
try {
  const picture = await takePicture(lab);
  writeFileSync(join(findCheckout(), 'docs', 'watch.svg'), picture);
  process.stdout.write(`docs/watch.svg: ${picture.length} bytes\n`);
} finally {
  lab.close();
}
