import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Direction } from '../libbpf/link.ts';

/** Where all instances keep their pins. */
export const PIN_ROOT = '/sys/fs/bpf/l7egg';

/** A pinned hook: an interface of a network namespace, by inode and index. */
export interface HookPin {
  readonly netns: number;
  readonly ifindex: number;
  readonly direction: Direction;
}

/** The pin paths of one instance. bpffs allows no dot in a name. */
export class Pins {
  readonly instance: string;
  readonly root: string;

  /** @param instance a legal instance name @param pinRoot another place, for tests */
  constructor(instance: string, pinRoot: string = PIN_ROOT) {
    this.instance = instance;
    this.root = `${pinRoot}/${instance}`;
  }

  map(name: string): string {
    return `${this.root}/maps/${name}`;
  }

  link(hook: HookPin): string {
    return `${this.root}/links/${hook.netns}-${hook.ifindex}-${hook.direction}`;
  }

  cgroupLink(program: string): string {
    return `${this.root}/links/cgroup-${program}`;
  }

  /** A hook of a subject's cgroup, by the cgroup's id. */
  subjectLink(cgroupId: bigint, hook: string): string {
    return `${this.root}/links/subject-${cgroupId}-${hook}`;
  }

  /** The cgroups of subjects that have any hook pinned. */
  subjects(): bigint[] {
    if (!existsSync(`${this.root}/links`)) return [];
    const ids = readdirSync(`${this.root}/links`).map((name) => /^subject-(\d+)-/u.exec(name)?.[1]);
    return [...new Set(ids)].flatMap((id) => (id === undefined ? [] : BigInt(id)));
  }

  /** Makes the directories. */
  create(): void {
    mkdirSync(`${this.root}/maps`, { recursive: true, mode: 0o700 });
    mkdirSync(`${this.root}/links`, { recursive: true, mode: 0o700 });
  }

  /** Whether the instance has pins. Throws Error with code EACCES for who may not look. */
  exist(): boolean {
    try {
      statSync(`${this.root}/maps/control`);
      return true;
    } catch (thrown) {
      if (thrown instanceof Error && 'code' in thrown && thrown.code === 'EACCES') throw thrown;
      return false;
    }
  }

  /** The interface hooks that are pinned. */
  hooks(): HookPin[] {
    return listHooks(this.root);
  }

  /** Removes every pin of the instance, links first. Idempotent. */
  remove(): void {
    for (const kind of ['links', 'maps']) {
      // Without control the rest is what an interrupted clean left: no start adopts it.
      if (kind === 'maps') rmSync(this.map('control'), { force: true });
      if (!existsSync(`${this.root}/${kind}`)) continue;
      for (const name of readdirSync(`${this.root}/${kind}`)) rmSync(`${this.root}/${kind}/${name}`);
      rmdirSync(`${this.root}/${kind}`);
    }
    if (existsSync(this.root)) rmdirSync(this.root);
    const others = dirname(this.root);
    if (existsSync(others) && readdirSync(others).length === 0) rmdirSync(others);
  }
}

/** The instances that have hooks pinned, in this network namespace or another. */
export function listInstances(pinRoot: string = PIN_ROOT): string[] {
  return [...new Set(listAllHooks(pinRoot).map(({ instance }) => instance))];
}

/** Hooks of every instance below `pinRoot`, with the instance that holds them. */
export function listAllHooks(pinRoot: string = PIN_ROOT): { instance: string; hook: HookPin }[] {
  if (!existsSync(pinRoot)) return [];
  return readdirSync(pinRoot).flatMap((instance) =>
    listHooks(`${pinRoot}/${instance}`).map((hook) => ({ instance, hook })),
  );
}

function listHooks(root: string): HookPin[] {
  if (!existsSync(`${root}/links`)) return [];
  return readdirSync(`${root}/links`).flatMap((name) => {
    const found = /^(\d+)-(\d+)-(ingress|egress)$/.exec(name);
    if (!found) return [];
    const direction: Direction = found[3] === 'ingress' ? 'ingress' : 'egress';
    return [{ netns: Number(found[1]), ifindex: Number(found[2]), direction }];
  });
}
