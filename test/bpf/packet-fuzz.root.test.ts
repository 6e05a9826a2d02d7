import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setOwnAddresses } from '../../src/datapath/host-facts.ts';
import { parseAddress } from '../../src/policy/prefix.ts';
import { makeRng, type Rng } from '../dns/rng.ts';
import { fuzzSettings, residentMiB } from '../fuzz/fuzz-settings.ts';
import { addressOf } from '../policy/rules-draw.ts';
import { judgePacket, type RuleText } from '../policy/rules-evaluator.ts';
import { FrameRunner, PASS } from './frame-runner.ts';
import { ethernet, LOCAL6, wireAddress } from './frames.ts';
import { type ProgramName, useHarness } from './harness.ts';
import { drawArrival, drawNoise, drawPackets, drawTags, type Hosts, mutateFrame } from './packet-draw.ts';
import { type ModelPolicy, PacketModel } from './packet-model.ts';

/** Rules of every kind, so that a frame that is read wrongly may find one. */
const RULES: readonly RuleText[] = [
  { action: 'allow', cidr: '198.51.100.7', ports: [] },
  { action: 'allow', cidr: '2001:db8:1::7', ports: [] },
  { action: 'allow', cidr: '198.51.100.80', ports: ['443/tcp'] },
  { action: 'allow', cidr: '2001:db8:1::80', ports: ['443/tcp'] },
  { action: 'allow', cidr: '203.0.113.32/28', ports: ['400-500/tcp', '53/udp', 'icmp:8'] },
  { action: 'allow', cidr: '2001:db8:5::/48', ports: ['400-500/tcp', '53/udp', 'icmpv6:128-129'] },
  { action: 'deny', cidr: '203.0.113.40/30', ports: [] },
  { action: 'deny', cidr: '2001:db8:5:1::/64', ports: ['450/tcp'] },
  { action: 'allow', name: 'web.test', ports: ['443'] },
  { action: 'allow', name: 'all.test', ports: [] },
  { action: 'deny', cidr: '45.0.0.66', ports: [] },
];
const [WEB, ALL] = [8, 9];
/** What names led to: positions of the rules that lease it; of one the lease has ended. */
const LEASED: ReadonlyMap<string, readonly number[]> = new Map([
  ['45.0.0.1', [WEB]],
  ['2001:db8:45::1', [WEB, ALL]],
  ['45.0.0.66', [ALL]],
]);
const ENDED = '45.0.0.9';
const HOSTS: Hosts = [
  '198.51.100.7',
  '2001:db8:1::7',
  '198.51.100.80',
  '2001:db8:1::80',
  '203.0.113.33',
  '203.0.113.41',
  '2001:db8:5::1',
  '2001:db8:5:1::1',
  '45.0.0.1',
  '2001:db8:45::1',
  '45.0.0.66',
  ENDED,
  '203.0.113.9',
  '2001:db8:2::9',
  '2001:db8::77',
  'fe80::77',
  'ff02::1',
  '255.255.255.255',
];
/** The least that the kernel takes of an untagged frame whose ethertype is IP's own, and of any other. */
const LEAST = 14 + 40;
const ETHERNET = 14;
/**
 * What kernel and model remember is forgotten after so many frames, so that both stay small; halfway the leases end, and
 * what they allowed goes on.
 */
const FORGET_EVERY = 10_000;

/** Questions to the evaluator whose answers are kept. */
const MOST_KNOWN = 50_000;

const datapath = await useHarness('egress', 'egress_l3', 'arrive', 'arrive_l3');
const { seed, rounds, progress } = fuzzSettings(50_000);

function hexOf(address: string): string {
  return Buffer.from(wireAddress(address)).toString('hex');
}

/** Asks the naive evaluator; the same questions come again and again. */
function makePolicy(leases = LEASED): ModelPolicy {
  const policy = { rules: RULES, strict: false, audit: false, privateAnswers: false };
  const leased = new Map([...leases].map(([address, rules]) => [hexOf(address), rules]));
  const known = new Map<string, boolean>();
  return {
    onLink: hexOf(LOCAL6).slice(0, 16),
    permits: (to, l4Proto, port) => {
      const key = `${to} ${l4Proto} ${port}`;
      let answer = known.get(key);
      if (answer === undefined) {
        const address = addressOf(BigInt(`0x${to}`), to.length === 8);
        answer = judgePacket(policy, { to: address, l4Proto, port, leased: leased.get(to) ?? [] }).passes;
        if (known.size === MOST_KNOWN) known.clear();
        known.set(key, answer);
      }
      return answer;
    },
  };
}

/** Forgets all but the policy, and leases what names led to. */
function begin(): void {
  datapath.reset();
  datapath.forgetLeases();
  setOwnAddresses(datapath.state, [{ ifindex: 1, address: parseAddress(LOCAL6), prefixLength: 64 }]);
  datapath.teach([ALL + 1], [ENDED]);
  datapath.endLeases();
  for (const [address, rules] of LEASED) {
    datapath.teach(
      rules.map((rule) => rule + 1),
      [address],
    );
  }
}

const SPEC = {
  rules: Object.fromEntries(
    RULES.map(({ action, cidr, name, ports }, index) => {
      const who =
        name !== undefined ? { name } : action === 'deny' ? { denyCidr: cidr ?? '' } : { cidr: cidr ?? '' };
      return [index + 1, { ...who, ports, share: 64 }];
    }),
  ),
};

describe(`whatever passes of ${rounds} frames may pass by the model, seed ${seed}`, () => {
  const ways: readonly (readonly [leaves: ProgramName, arrives: ProgramName, share: number])[] = [
    ['egress', 'arrive', 0.8],
    ['egress_l3', 'arrive_l3', 0.2],
  ];
  for (const [leaves, arrives, share] of ways) {
    const frames = Math.ceil(rounds * share);
    test(`${frames} of ${leaves} and ${arrives}`, async (t) => {
      await datapath.ensure(SPEC);
      const seen = { pass: 0, blocked: 0, stricter: 0, arrived: 0, noise: 0, replies: 0 };
      const hasLink = !leaves.endsWith('_l3');
      const [out, arrival] = [
        new FrameRunner(datapath.state, leaves),
        new FrameRunner(datapath.state, arrives),
      ];
      const rng = makeRng(seed);
      const [fresh, ended] = [makePolicy(), makePolicy(new Map())];
      let model = new PacketModel(fresh, hasLink);
      for (let round = 0; round < frames; round += 1) {
        if (round % FORGET_EVERY === 0) {
          begin();
          model = new PacketModel(fresh, hasLink);
        } else if (round % FORGET_EVERY === FORGET_EVERY / 2) {
          datapath.endLeases();
          model.policy = ended;
        }
        if (round % 256 === 0) datapath.events();
        progress(round);
        if (rng.oneIn(8)) {
          const frame = finish(rng, drawArrival(rng, HOSTS), hasLink);
          model.arrived(frame);
          assert.equal(runOn(arrival, frame), PASS);
          seen.arrived += 1;
        }
        for (const { frame, isNoise } of drawFrames(rng, hasLink)) {
          const passes = runOn(out, frame) === PASS;
          const mayPass = model.mayPass(frame);
          const replay = `L7EGG_SEED=${seed} L7EGG_FUZZ=${rounds}, frame ${round} of ${leaves}: ${frame.toString('hex')}`;
          assert.ok(!passes || mayPass, `passed: ${replay}`);
          if (passes) model.passed(frame);
          else if (mayPass) seen.stricter += 1;
          if (passes && !new PacketModel(model.policy, hasLink).mayPass(frame)) seen.replies += 1;
          seen[passes ? 'pass' : 'blocked'] += 1;
          if (isNoise) seen.noise += 1;
        }
      }
      t.diagnostic(JSON.stringify({ seed, program: leaves, frames, ...seen, residentMiB: residentMiB() }));
      // Else it would prove nothing.
      const { pass, blocked, stricter, replies } = seen;
      assert.ok(
        pass > frames / 20 && blocked > frames / 3 && replies >= Math.floor(frames / 2000),
        JSON.stringify(seen),
      );
      // The kernel bounds extension headers, and ends flows, calls and fragments that the model remembers.
      assert.ok(stricter < frames / 20, JSON.stringify(seen));
    });
  }
});

function drawFrames(rng: Rng, hasLink: boolean): { frame: Buffer; isNoise: boolean }[] {
  if (rng.oneIn(12)) return [{ frame: pad(drawNoise(rng, hasLink)), isNoise: true }];
  return drawPackets(rng, HOSTS).map((packet) => ({ frame: finish(rng, packet, hasLink), isNoise: false }));
}

/** The packet as the program gets it, mutated or not. */
function finish(rng: Rng, packet: Buffer, hasLink: boolean): Buffer {
  const frame = hasLink ? ethernet(packet, { tags: drawTags(rng) }) : packet;
  return pad(mutateFrame(rng, frame, hasLink ? ETHERNET - 2 : 0));
}

function pad(frame: Buffer): Buffer {
  return frame.length < LEAST ? Buffer.concat([frame, Buffer.alloc(LEAST - frame.length)]) : frame;
}

function runOn(runner: FrameRunner, frame: Buffer): number {
  runner.frame.set(frame);
  return runner.run(frame.length);
}
