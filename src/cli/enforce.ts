import type { Enforcer } from '../enforcer/enforcer.ts';
import { enterNamed } from '../enforcer/netns.ts';
import type { Listener } from '../enforcer/options.ts';
import { formatResolver } from '../enforcer/resolvers.ts';
import { startEnforcer } from '../enforcer/start.ts';
import type { Event } from '../flow/event.ts';
import { renderJson } from '../flow/render-json.ts';
import { type Painter, PLAIN, renderText } from '../flow/render-text.ts';
import { notifySystemd } from '../libbpf/sd-notify.ts';
import { describeRules, describeSettings } from './describe-rules.ts';
import type { EnforceOptions } from './flags.ts';

/** Events that wait for a slow reader of stdout. */
const MAX_UNREAD_BYTES = 1 << 20;
/** How long a reader of stdout may take to the last events when we end. */
const LAST_WORDS_MS = 1_000;

/** Runs in the foreground until a signal ends it: SIGINT and SIGTERM open, SIGUSR2 leaves all in force. */
export async function runEnforce(options: EnforceOptions): Promise<number> {
  const remark = (text: string) => process.stderr.write(`${text}\n`);
  const listener: Listener = { remark };
  const ending = untilSignal();
  for (const text of options.remarks) remark(text);
  const settings = describeSettings(options.policy, options.inbound);
  if (options.netns) enterNamed(options.netns);
  const enforcer = await startEnforcer(
    {
      instance: options.instance,
      learning: options.ifaces,
      enforced: options.efaces,
      policy: options.policy,
      resolvers: options.resolvers,
      ...(options.inbound && { inbound: options.inbound }),
      settings,
      wait: options.wait,
      force: options.force,
    },
    listener,
  );
  remark([...describeRules(options.policy), ...settings].join('\n'));
  const isTerminal = process.stdout.isTTY === true;
  const log = options.log ?? 'text';
  const colour = isTerminal && log === 'text' ? await terminalColours() : PLAIN;
  const render = log === 'json' ? renderJson : (event: Event) => renderText(event, { colour });
  process.on('SIGHUP', () => {
    enforcer.reload();
    remark(
      'read again: interfaces, addresses, resolvers, exact names; rules given as flags change with a restart',
    );
  });
  const tell = (event: Event) => {
    // A reader that does not keep up loses events, and is told how many; it does not cost us memory.
    if (process.stdout.writableLength > MAX_UNREAD_BYTES) return false;
    process.stdout.write(`${render(event)}\n`);
    return true;
  };
  try {
    enforcer.begin(tell);
    remark(readyLine(enforcer));
    notifySystemd('READY=1');
    await enforcer.settle();
  } catch (thrown) {
    enforcer.leave(); // fails closed: what is in force stays so without us
    throw thrown;
  }
  end(enforcer, await ending, remark);
  await untilRead(LAST_WORDS_MS);
  return 0;
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
  const { plan, present, isEveryWay, adopts, options, resolvers } = inForce;
  const there = new Set(present.map(({ name }) => name));
  const absent = plan.filter(({ name }) => !there.has(name));
  const names = present.filter(({ enforces }) => enforces).map(({ name }) => name);
  const learning = present.filter(({ learns }) => learns).map(({ name }) => name);
  return [
    `enforcing on ${names.join(', ') || 'no interface yet'}`,
    `learning on ${learning.join(', ') || 'none'} from ${resolvers.map(formatResolver).join(', ') || 'no resolver'}`,
    ...(absent.length > 0 ? [`waiting for ${absent.map(({ name }) => name).join(', ')}`] : []),
    ...(isEveryWay ? ['ways out that appear later are controlled too'] : []),
    ...(options.policy.audit ? ['audit: nothing is dropped'] : []),
    ...(adopts ? ['adopted what was in force'] : []),
  ].join('; ');
}

/** How the owner ends us: `open` takes all out of force, `leave` ends the process only. */
type Ending = 'open' | 'leave';

/* From the first moment: a signal that comes during the start takes effect right after it, not in its middle. */
function untilSignal(): Promise<Ending> {
  process.on('SIGHUP', () => {}); // the start reads all afresh as it is
  return new Promise((resolve) => {
    process.on('SIGINT', () => resolve('open'));
    process.on('SIGTERM', () => resolve('open'));
    process.on('SIGUSR2', () => resolve('leave'));
  });
}

function end(enforcer: Enforcer, ending: Ending, remark: (text: string) => void): void {
  notifySystemd('STOPPING=1');
  enforcer.drain();
  if (ending === 'open') {
    enforcer.stop();
    remark('stopped: nothing is enforced any more');
  } else {
    enforcer.leave();
    remark('ended: programs and rules stay in force; the next start takes them over');
  }
}

async function terminalColours(): Promise<Painter> {
  const { default: chalk } = await import('chalk');
  return { allow: chalk.green, deny: chalk.red, wouldDeny: chalk.yellow, dim: chalk.dim, strong: chalk.bold };
}
