import { fileURLToPath } from 'node:url';
import type { Enforcer } from '../enforcer/enforcer.ts';
import { giveUpPrivileges } from '../enforcer/least-privilege.ts';
import { meter } from '../enforcer/metered.ts';
import { enterNamed, netnsText } from '../enforcer/netns.ts';
import type { Listener } from '../enforcer/options.ts';
import { type LoadedPolicies, PolicyReader } from '../enforcer/policy-source.ts';
import { Reloader } from '../enforcer/reloader.ts';
import { formatResolver } from '../enforcer/resolvers.ts';
import { startEnforcer } from '../enforcer/start.ts';
import { messageLines, UsageError } from '../errors.ts';
import type { Event } from '../flow/event.ts';
import type { TextSink } from '../flow/event-queue.ts';
import { renderJson } from '../flow/render-json.ts';
import { PLAIN, renderText } from '../flow/render-text.ts';
import { notifySystemd } from '../libbpf/sd-notify.ts';
import type { PageServer } from '../page/page-server.ts';
import { describeRules, describeSettings, describeShaping } from '../policy/describe.ts';
import type { SubjectPolicy } from '../policy/policy.ts';
import { subjectText } from '../policy/subject.ts';
import type { Endpoint } from './endpoint.ts';
import { EventWriter } from './event-writer.ts';
import type { OpenMetrics } from './metrics.ts';
import type { EnforceOptions } from './options.ts';
import { pageSource } from './page-source.ts';
import { showProgress } from './progress.ts';
import { type Remark, RemarkWriter } from './remarks.ts';
import { sinkOf } from './sink.ts';
import { terminalColours } from './terminal-colours.ts';
import { VERSION } from './version.ts';

/** How long a reader of stdout may take to the last events when we end. */
const LAST_WORDS_MS = 1_000;

/** Bytes of events that wait for a slow reader of stdout. */
const MAX_UNREAD_BYTES = 1 << 20;

/** A reader that does not keep up loses events, and is told how many; it does not cost us memory. */
const STDOUT: TextSink = {
  send: (text) => {
    process.stdout.write(text);
    return process.stdout.writableLength <= MAX_UNREAD_BYTES;
  },
  onceReady: (act) => {
    if (process.stdout.writableNeedDrain) process.stdout.once('drain', act);
    else setImmediate(act);
  },
};

/** Runs in the foreground until a signal ends it: SIGINT and SIGTERM open, SIGUSR2 leaves all in force. */
export async function runEnforce(options: EnforceOptions): Promise<number> {
  const remarks = new RemarkWriter();
  const { remark } = remarks;
  const early: string[] = []; // what is said before there are events
  let tell = (sentence: string): void => {
    early.push(sentence);
  };
  const listener: Listener = {
    remark: (text, level) => {
      remark(text, level);
      tell(typeof text === 'string' ? text : text.join('; '));
    },
    told: remark,
  };
  const { ending, hangUps } = untilSignal();
  for (const text of options.remarks) listener.remark(text, 'warning');
  // Before anything is put in force, and in the caller's network namespace: there they are asked for.
  using page = options.ui && (await openPage(options.ui));
  using metrics = options.metrics && (await openMetrics(options.metrics));
  if (metrics) remark(metrics.remark);
  if (options.netns) enterNamed(options.netns);
  const reader = new PolicyReader(options.source);
  const loaded = await loadPolicies(reader, listener.remark);
  const enforcer = await startEnforcer(
    {
      instance: options.instance,
      learning: options.ifaces.length > 0 ? options.ifaces : loaded.ifaces,
      enforced: options.efaces.length > 0 ? options.efaces : loaded.efaces,
      policies: loaded.policies,
      resolvers: options.resolvers,
      wait: options.wait,
      force: options.force,
      ...(options.netns && { netns: netnsText(options.netns) }),
    },
    listener,
  );
  remark(loaded.policies.flatMap(describePolicy));
  const isTerminal = process.stdout.isTTY === true;
  const log = options.log ?? 'text';
  const colour = isTerminal && log === 'text' ? await terminalColours() : PLAIN;
  const render = log === 'json' ? renderJson : (event: Event) => renderText(event, { colour });
  using reloader = new Reloader(enforcer, reader, loaded, remark);
  const events = new EventWriter(STDOUT, {
    sink: sinkOf(1, process.env, isTerminal),
    render,
    remark,
    isForPeople: log === 'text',
  });
  try {
    enforcer.feed.subscribe(events);
    metrics?.follow(meter(enforcer));
    tell = (sentence) => enforcer.tell('remark', sentence);
    for (const sentence of early) tell(sentence);
    if (page) {
      page.serve(pageSource(enforcer));
      // Not told as an event: it has the token.
      remark(`the page is at ${page.url}`);
    }
    enforcer.begin();
    enforcer.followCgroups();
    await enforcer.followContainers();
    const ready = readyLine(enforcer);
    remark(ready, 'notice');
    remarks.begin();
    enforcer.tell('enforcing', ready);
    notifySystemd('READY=1');
    // Whoever asked during the start may have changed a file that was read already.
    if (hangUps() > 0) void reloader.reload();
    process.on('SIGHUP', () => void reloader.reload());
    await enforcer.settle();
    giveUp(mayHaveSubjects(reader, loaded), remark);
  } catch (thrown) {
    enforcer.leave(); // fails closed: what is in force stays so without us
    throw thrown;
  }
  const how = await ending;
  await reloader.end();
  end(enforcer, how, remark);
  events.flush();
  events.tellLeftOut();
  remarks.tellLeftOut();
  await untilRead(LAST_WORDS_MS);
  return 0;
}

function mayHaveSubjects({ source }: PolicyReader, { policies }: LoadedPolicies): boolean {
  const named = [...source.files, ...source.presets];
  return named.length > 0 || policies.some(({ subject }) => subject.kind !== 'host');
}

/* What is in force does not need it. */
function giveUp(mayHaveSubjects: boolean, remark: Remark): void {
  try {
    giveUpPrivileges(mayHaveSubjects);
  } catch (thrown) {
    remark(`cannot give privileges up that are not needed: ${messageLines(thrown).join('; ')}`, 'warning');
  }
}

async function openPage({ host, port }: Endpoint): Promise<PageServer> {
  const part = await import('../page/page-server.ts');
  return part.openPage({ address: host, port }, fileURLToPath(new URL('page/', import.meta.url)));
}

async function openMetrics(endpoint: Endpoint): Promise<OpenMetrics> {
  const part = await import('./metrics.ts');
  return part.openMetrics(endpoint, VERSION);
}

/* Nothing but policies that restrict nothing is a mistake: whoever starts us wants something controlled. */
async function loadPolicies(reader: PolicyReader, remark: Remark): Promise<LoadedPolicies> {
  const loaded = await reader.load(showProgress());
  for (const text of loaded.remarks) remark(text, 'warning');
  if (loaded.policies.length > 0) return loaded;
  throw new UsageError('nothing would be enforced: no policy that was given restricts egress');
}

function describePolicy({ subject, policy, shaping }: SubjectPolicy): string[] {
  const title = subject.kind === 'host' ? [] : [`for ${subjectText(subject)}:`];
  const rates = shaping ? [describeShaping(shaping)] : [];
  return [...title, ...describeRules(policy), ...describeSettings(policy), ...rates];
}

/* A reader that has stopped reading does not keep a process that is done; what it left unread is lost. */
async function untilRead(limitMs: number): Promise<void> {
  const { stdout } = process;
  if (stdout.writableLength === 0) return;
  await new Promise<void>((resolve) => {
    const limit = setTimeout(resolve, limitMs);
    stdout.write('', () => {
      clearTimeout(limit);
      resolve();
    });
  });
  if (stdout.writableLength > 0) process.exit();
}

function readyLine({ inForce }: Enforcer): string {
  const { plan, present, isEveryWay, adopts, options, policies, resolvers } = inForce;
  const there = new Set(present.map(({ name }) => name));
  const placed = new Set(policies.placed.map(({ policyId }) => policyId));
  const absent = [
    ...plan.flatMap(({ name }) => (there.has(name) ? [] : name)),
    ...policies.subjects.flatMap(({ subject, policyId }) =>
      subject.kind === 'host' || placed.has(policyId) ? [] : subjectText(subject),
    ),
  ];
  const names = present.filter(({ enforces }) => enforces).map(({ name }) => name);
  const cgroups = policies.placed.map(({ path }) => path);
  const learning = present.filter(({ learns }) => learns).map(({ name }) => name);
  return [
    `enforcing on ${[...names, ...cgroups].join(', ') || 'nothing yet'}`,
    `learning on ${[...learning, ...cgroups].join(', ') || 'none'} from ${resolvers.map(formatResolver).join(', ') || 'no resolver'}`,
    ...(absent.length > 0 ? [`waiting for ${absent.join(', ')}`] : []),
    ...(isEveryWay ? ['ways out that appear later are controlled too'] : []),
    ...(options.policies.some(({ policy }) => policy.audit) ? ['audit: nothing is dropped'] : []),
    ...(adopts ? ['adopted what was in force'] : []),
  ].join('; ');
}

/** How the owner ends us: `open` takes all out of force, `leave` ends the process only. */
type Ending = 'open' | 'leave';

/* From the first moment: a signal that comes during the start takes effect right after it, not in its middle. */
function untilSignal(): { ending: Promise<Ending>; hangUps: () => number } {
  let hangUps = 0;
  process.on('SIGHUP', () => {
    hangUps += 1;
  });
  const ending = new Promise<Ending>((resolve) => {
    process.on('SIGINT', () => resolve('open'));
    process.on('SIGTERM', () => resolve('open'));
    process.on('SIGUSR2', () => resolve('leave'));
  });
  return { ending, hangUps: () => hangUps };
}

function end(enforcer: Enforcer, ending: Ending, remark: Remark): void {
  notifySystemd('STOPPING=1');
  enforcer.drain();
  if (ending === 'open') {
    enforcer.stop();
    remark('stopped: nothing is enforced any more', 'notice');
  } else {
    enforcer.leave();
    remark('ended: programs and rules stay in force; the next start takes them over', 'notice');
  }
}
