import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { callersEnvironment, findCaller } from '../../src/run/caller.ts';

describe('findCaller', () => {
  test('is the user of this process without sudo', () => {
    assert.deepEqual(findCaller({}), {
      uid: process.getuid?.(),
      gid: process.getgid?.(),
      groups: process.getgroups?.(),
    });
  });
  test('is the user who called sudo, as the user database knows it', () => {
    assert.deepEqual(findCaller({ SUDO_UID: '65534', SUDO_GID: '65534' }), {
      uid: 65534,
      gid: 65534,
      groups: [65534],
      account: { name: 'nobody', gid: 65534, home: '/nonexistent', shell: '/usr/sbin/nologin' },
    });
  });
  test('is a number without an account when sudo gave a group', () => {
    const caller = { uid: 3_999_999_999, gid: 7, groups: [7] };
    assert.deepEqual(findCaller({ SUDO_UID: '3999999999', SUDO_GID: '7' }), caller);
    assert.throws(() => findCaller({ SUDO_UID: '3999999999' }), { message: /there is no SUDO_GID/u });
  });
  for (const text of ['', '-1', 'root', '4294967295', '1 2', '0x1', '99999999999']) {
    test(`refuses SUDO_UID ${JSON.stringify(text)}`, () => {
      assert.throws(() => findCaller({ SUDO_UID: text }), {
        name: 'UsageError',
        message: /is no id: sudo sets/u,
      });
    });
  }
});

describe('callersEnvironment', () => {
  const account = { name: 'ann', gid: 5, home: '/home/ann', shell: '/bin/zsh' };
  const caller = { uid: 5, gid: 5, groups: [5], account };
  test("puts the caller's in the place of root's", () => {
    const env = { HOME: '/root', USER: 'root', LOGNAME: 'root', MAIL: '/var/mail/root', A: 'root' };
    assert.deepEqual(callersEnvironment(caller, env), {
      ...{ HOME: '/home/ann', USER: 'ann', LOGNAME: 'ann', MAIL: '/var/mail/ann', A: 'root' },
    });
  });
  test('leaves what sudo was told to keep', () => {
    const env = { HOME: '/work/home', USER: 'other' };
    assert.deepEqual(callersEnvironment(caller, env), env);
  });
  test('leaves all as it is without sudo', () => {
    const env = { HOME: '/root', USER: 'root' };
    assert.equal(callersEnvironment({ uid: 0, gid: 0, groups: [] }, env), env);
  });
});
