/* What is on an interface before, during and after shaping; wires of shape-lab.ts, a new one for each test. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TakenError } from '../../src/errors.ts';
import { addClsact, attachFilter, detachFilter } from '../../src/libbpf/clsact.ts';
import { readInterface } from '../../src/libbpf/ifindex.ts';
import { attachTcx } from '../../src/libbpf/link.ts';
import { loadObject } from '../../src/libbpf/object.ts';
import {
  classPriority,
  listClasses,
  readRootQdisc,
  removeClass,
  shapeInterface,
  UNCLASSIFIED_MINOR,
  unshape,
  updateClass,
} from '../../src/netlink/shape.ts';
import { mustRun } from '../lab/command.ts';
import { until } from '../lab/wait.ts';
import { compileFixture } from '../libbpf/fixture.ts';
import { Datagrams } from './datagrams.ts';
import { countPorts, readPorts, ShapeLab, showTc, type Wire } from './shape-lab.ts';

const SLOW = 8e3;
const FAST = 1e9;
const DEFAULT = { kind: 'default', name: 'noqueue', handle: 0 } as const;
const MARK = { port: 7001 };
const COUNTED = { port: 7002 };

const lab = new ShapeLab();
const object = await loadObject(compileFixture());
const drop = object.program('drop');
countPorts(lab.far, [MARK.port, COUNTED.port]);

function tc(words: string): void {
  mustRun(['tc', ...words.split(' ')]);
}

function frames(port: number): number {
  return readPorts(lab.far).get(port)?.frames ?? 0;
}

/** How many of `count` small datagrams to a wire's far end arrive, of those of `priority`, once a later one has. */
async function sendAndCount(wire: Wire, count: number, priority = 0): Promise<number> {
  const before = frames(COUNTED.port);
  using socket = new Datagrams(wire.v4, { ...COUNTED, priority });
  for (let i = 0; i < count; i++) socket.send(10);
  await passMark(wire, priority);
  return frames(COUNTED.port) - before;
}

async function passMark(wire: Wire, priority: number): Promise<void> {
  const before = frames(MARK.port);
  using socket = new Datagrams(wire.v4, { ...MARK, priority });
  socket.send(10);
  await until(() => frames(MARK.port) > before, { limitMs: 5_000, what: 'the mark' });
}

describe('readRootQdisc', () => {
  test('knows what the kernel puts there by itself', () => {
    const wire = lab.addWire();
    assert.deepEqual(readRootQdisc(wire.ifindex), DEFAULT);
  });
  test('knows a queue that the kernel puts there by itself', () => {
    mustRun(['ip', 'tuntap', 'add', 'dev', 'tun7', 'mode', 'tun']);
    mustRun(['ip', 'link', 'set', 'tun7', 'up']);
    const ifindex = readInterface('tun7')?.ifindex ?? 0;
    const fresh = readRootQdisc(ifindex);
    assert.deepEqual([fresh.kind, fresh.kind === 'default' && fresh.handle], ['default', 0]);
    shapeInterface(ifindex, []);
    assert.deepEqual(readRootQdisc(ifindex), { kind: 'ours' });
    assert.equal(unshape(ifindex), true);
    assert.deepEqual(readRootQdisc(ifindex), fresh);
  });
  test('knows a noqueue that somebody put there', () => {
    const wire = lab.addWire();
    tc(`qdisc add dev ${wire.name} root noqueue`);
    const root = readRootQdisc(wire.ifindex);
    assert.deepEqual([root.kind, root.kind === 'default' && root.name], ['default', 'noqueue']);
  });
  test('tells ours from an HTB of somebody else and from another qdisc with our handle', () => {
    const wire = lab.addWire();
    tc(`qdisc add dev ${wire.name} root handle 5: htb`);
    assert.deepEqual(readRootQdisc(wire.ifindex), { kind: 'foreign', name: 'htb', handle: 0x50000 });
    tc(`qdisc replace dev ${wire.name} root handle 17e9: tbf rate 1mbit burst 5k latency 50ms`);
    assert.deepEqual(readRootQdisc(wire.ifindex), { kind: 'foreign', name: 'tbf', handle: 0x17e90000 });
    tc(`qdisc delete dev ${wire.name} root`);
    shapeInterface(wire.ifindex, []);
    assert.deepEqual(readRootQdisc(wire.ifindex), { kind: 'ours' });
  });
});

describe('shapeInterface', () => {
  const classes = [
    { minor: 2, rateBitsPerSecond: 1e6 },
    { minor: 3, rateBitsPerSecond: 50e9, ceilBitsPerSecond: 100e9 },
  ];

  test('makes the classes, and again what differs only', () => {
    const wire = lab.addWire();
    shapeInterface(wire.ifindex, classes);
    assert.deepEqual(listClasses(wire.ifindex), classes);
    const shown = showTc(wire);
    shapeInterface(wire.ifindex, classes);
    assert.equal(showTc(wire), shown);
    shapeInterface(wire.ifindex, [{ minor: 4, rateBitsPerSecond: 2e6 }]);
    assert.deepEqual(listClasses(wire.ifindex), [...classes, { minor: 4, rateBitsPerSecond: 2e6 }]);
  });
  test('goes on from a tree that was left half made', () => {
    const wire = lab.addWire();
    shapeInterface(wire.ifindex, []);
    tc(`class add dev ${wire.name} parent 17e9: classid 17e9:ffff htb rate 1mbit`);
    tc(`class add dev ${wire.name} parent 17e9:ffff classid 17e9:2 htb rate 7mbit`);
    shapeInterface(wire.ifindex, classes);
    assert.deepEqual(listClasses(wire.ifindex), classes);
  });
  test('without classes lets all pass, also where the interface has no queue length', async () => {
    const wire = lab.addWire();
    mustRun(['ip', 'link', 'set', wire.name, 'txqueuelen', '0']);
    shapeInterface(wire.ifindex, []);
    mustRun(['ip', 'link', 'set', wire.name, 'txqueuelen', '0']);
    assert.equal(await sendAndCount(wire, 20), 20);
  });
  test('works on an interface that is down', async () => {
    const wire = lab.addWire();
    mustRun(['ip', 'link', 'set', wire.name, 'down']);
    shapeInterface(wire.ifindex, [{ minor: UNCLASSIFIED_MINOR, rateBitsPerSecond: FAST }]);
    mustRun(['ip', 'link', 'set', wire.name, 'up']);
    assert.deepEqual(readRootQdisc(wire.ifindex), { kind: 'ours' });
    await passMark(wire, 0);
    assert.match(mustRun(['tc', '-s', 'class', 'show', 'dev', wire.name]), /Sent [1-9]/u);
  });
  test('refuses the qdisc of somebody else and leaves it as it is', () => {
    const wire = lab.addWire();
    tc(`qdisc add dev ${wire.name} root handle 5: htb default 7`);
    tc(`class add dev ${wire.name} parent 5: classid 5:7 htb rate 3mbit`);
    const shown = showTc(wire);
    assert.throws(
      () => shapeInterface(wire.ifindex, classes),
      (error) =>
        error instanceof TakenError &&
        error.message ===
          `Cannot shape "${wire.name}": its root qdisc is somebody else's (htb), -force replaces it`,
    );
    assert.deepEqual(listClasses(wire.ifindex), []);
    assert.equal(removeClass(wire.ifindex, 7), false);
    assert.equal(unshape(wire.ifindex), false);
    assert.equal(showTc(wire), shown);
  });
  test('replaces it by force, and unshape gives back the default', () => {
    const wire = lab.addWire();
    tc(`qdisc add dev ${wire.name} root handle 5: htb default 7`);
    shapeInterface(wire.ifindex, classes, { force: true });
    assert.deepEqual(listClasses(wire.ifindex), classes);
    assert.equal(unshape(wire.ifindex), true);
    assert.deepEqual(readRootQdisc(wire.ifindex), DEFAULT);
  });
  test('takes the place of a noqueue that somebody put there', () => {
    const wire = lab.addWire();
    tc(`qdisc add dev ${wire.name} root noqueue`);
    shapeInterface(wire.ifindex, classes);
    assert.deepEqual(readRootQdisc(wire.ifindex), { kind: 'ours' });
  });
  test('throws ENODEV for an interface that is not there', () => {
    assert.throws(() => shapeInterface(4711, classes), { code: 'ENODEV' });
  });
  for (const minor of [0, -1, 1.5, 0xffff, 0x10000]) {
    test(`refuses minor number ${minor} before it changes anything`, () => {
      const wire = lab.addWire();
      assert.throws(() => shapeInterface(wire.ifindex, [{ minor, rateBitsPerSecond: 1e6 }]), RangeError);
      assert.deepEqual(readRootQdisc(wire.ifindex), DEFAULT);
    });
  }
});

describe('updateClass', () => {
  test('changes the rate and keeps what waits', async () => {
    const wire = lab.addWire();
    shapeInterface(wire.ifindex, [{ minor: 2, rateBitsPerSecond: SLOW }]);
    await passMark(wire, 0);
    const before = frames(COUNTED.port);
    using socket = new Datagrams(wire.v4, { ...COUNTED, priority: classPriority(2) });
    for (let i = 0; i < 20; i++) socket.send(1400);
    assert.ok(frames(COUNTED.port) - before < 20);
    updateClass(wire.ifindex, { minor: 2, rateBitsPerSecond: FAST });
    await passMark(wire, classPriority(2));
    assert.equal(frames(COUNTED.port) - before, 20);
  });
  test('throws where we do not shape', () => {
    const wire = lab.addWire();
    assert.throws(() => updateClass(wire.ifindex, { minor: 2, rateBitsPerSecond: FAST }), { code: 'ENOENT' });
  });
});

describe('removeClass', () => {
  test('removes that class only, and its packets are unclassified then', async () => {
    const wire = lab.addWire();
    const other = { minor: 3, rateBitsPerSecond: FAST };
    shapeInterface(wire.ifindex, [{ minor: 2, rateBitsPerSecond: SLOW }, other]);
    assert.equal(removeClass(wire.ifindex, 2), true);
    assert.equal(removeClass(wire.ifindex, 2), false);
    assert.deepEqual(listClasses(wire.ifindex), [other]);
    assert.equal(await sendAndCount(wire, 20, classPriority(2)), 20);
  });
  test('removes the last one, and what comes next is made again', () => {
    const wire = lab.addWire();
    shapeInterface(wire.ifindex, [{ minor: 2, rateBitsPerSecond: SLOW }]);
    assert.equal(removeClass(wire.ifindex, 2), true);
    assert.deepEqual(listClasses(wire.ifindex), []);
    updateClass(wire.ifindex, { minor: 2, rateBitsPerSecond: FAST });
    assert.deepEqual(listClasses(wire.ifindex), [{ minor: 2, rateBitsPerSecond: FAST }]);
  });
});

describe('unshape', () => {
  test('gives the kernel default back, with nothing of ours left, and is content when that is there', () => {
    const wire = lab.addWire();
    const shown = showTc(wire);
    shapeInterface(wire.ifindex, [{ minor: 2, rateBitsPerSecond: SLOW }]);
    assert.equal(unshape(wire.ifindex), true);
    assert.equal(showTc(wire), shown);
    assert.equal(unshape(wire.ifindex), false);
  });
  test('is content when the interface is gone', () => {
    const wire = lab.addWire();
    shapeInterface(wire.ifindex, [{ minor: 2, rateBitsPerSecond: SLOW }]);
    mustRun(['ip', 'link', 'delete', wire.name]);
    assert.equal(unshape(wire.ifindex), false);
    assert.deepEqual(listClasses(wire.ifindex), []);
  });
});

describe('what filters packets stays in force while an interface is shaped and unshaped', () => {
  const rows: readonly (readonly [title: string, attach: (wire: Wire) => () => void])[] = [
    [
      'clsact',
      ({ ifindex }) => {
        const place = { ifindex, direction: 'egress', handle: 7, priority: 7 } as const;
        addClsact(ifindex);
        attachFilter(drop, place);
        return () => void detachFilter(place);
      },
    ],
    [
      'tcx',
      ({ ifindex }) => {
        const link = attachTcx(drop, ifindex, 'egress');
        return () => link.close();
      },
    ],
  ];
  for (const [title, attach] of rows) {
    test(title, async () => {
      const wire = lab.addWire();
      await passMark(wire, 0);
      const detach = attach(wire);
      const before = frames(COUNTED.port);
      using socket = new Datagrams(wire.v4, COUNTED);
      const steps = [
        () => shapeInterface(wire.ifindex, [{ minor: UNCLASSIFIED_MINOR, rateBitsPerSecond: FAST }]),
        () => updateClass(wire.ifindex, { minor: UNCLASSIFIED_MINOR, rateBitsPerSecond: 10e6 }),
        () => unshape(wire.ifindex),
      ];
      for (const step of steps) {
        step();
        for (let i = 0; i < 5; i++) socket.send(10);
      }
      detach();
      await passMark(wire, 0);
      assert.equal(frames(COUNTED.port) - before, 0);
      assert.equal(await sendAndCount(wire, 5), 5);
    });
  }
});
