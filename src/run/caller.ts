import { spawnSync } from 'node:child_process';
import { UsageError } from '../errors.ts';

/** What the user database says of a user. */
export interface Account {
  readonly name: string;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
}

/** Who the command runs as. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
  /** Of the user who called sudo; absent where nobody did or the user database does not know the user. */
  readonly account?: Account;
}

/* 2^32 - 1 is no id but "none". */
const MAX_ID = 2 ** 32 - 2;

/**
 * The user who called sudo (`SUDO_UID`, `SUDO_GID`), with the groups that the user database gives; without sudo the
 * user of this process. Throws UsageError for a variable that is no id.
 */
export function findCaller(env: NodeJS.ProcessEnv): Caller {
  const uid = parseId('SUDO_UID', env.SUDO_UID);
  const [ownUid, ownGid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  if (uid === undefined || uid === ownUid) {
    return { uid: ownUid, gid: ownGid, groups: process.getgroups?.() ?? [ownGid] };
  }
  const account = findAccount(uid);
  const gid = parseId('SUDO_GID', env.SUDO_GID) ?? account?.gid;
  if (gid === undefined) {
    throw new UsageError(
      `SUDO_UID is ${uid}, a user without an account, and there is no SUDO_GID to go with it`,
    );
  }
  if (account === undefined) return { uid, gid, groups: [gid] };
  return { uid, gid, groups: findGroups(account.name) ?? [gid], account };
}

/**
 * `env` as the caller had it: sudo puts root's HOME, USER, LOGNAME, SHELL and MAIL in the place of the caller's, with
 * which a command that runs as the caller finds nothing it may write. What sudo was told to keep is kept.
 */
export function callersEnvironment(caller: Caller, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const root = caller.account && findAccount(0);
  if (caller.account === undefined || root === undefined) return env;
  const [from, to] = [accountVariables(root), accountVariables(caller.account)];
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, value === from.get(name) ? to.get(name) : value]),
  );
}

function accountVariables({ name, home, shell }: Account): ReadonlyMap<string, string> {
  return new Map([
    ['HOME', home],
    ['USER', name],
    ['LOGNAME', name],
    ['SHELL', shell],
    ['MAIL', `/var/mail/${name}`],
  ]);
}

function parseId(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,10}$/u.test(text) && Number(text) <= MAX_ID) return Number(text);
  throw new UsageError(`${name} "${text}" is no id: sudo sets it to a number from 0 to ${MAX_ID}`);
}

/* NAME:PASSWORD:UID:GID:GECOS:HOME:SHELL; through getent, so that directories such as LDAP are asked, too. */
function findAccount(uid: number): Account | undefined {
  const fields = answerOf('getent', ['passwd', String(uid)])?.split(':');
  const [name, , , gid, , home, shell] = fields ?? [];
  if (name === undefined || gid === undefined || home === undefined || shell === undefined) return undefined;
  return { name, gid: Number(gid), home, shell };
}

function findGroups(name: string): readonly number[] | undefined {
  return answerOf('id', ['-G', '--', name])?.split(' ').map(Number);
}

/* undefined where the user is not known. */
function answerOf(program: string, args: readonly string[]): string | undefined {
  const done = spawnSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  if (done.error) throw done.error;
  return done.status === 0 ? done.stdout.trimEnd() : undefined;
}
