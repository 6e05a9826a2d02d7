/*
 * What is read of the answers of Docker's Engine API (docs.docker.com/reference/api/engine), which Podman's service
 * gives too: GET /version, /containers/json, /containers/ID/json, /events.
 */
import { boundLabels, type Description, type Runtime } from './container.ts';

/** A container as the list has it. */
export interface Listed {
  readonly id: string;
  readonly hasProcess: boolean;
  readonly description: Description;
  /** How many of its labels were too long to keep. */
  readonly leftOut: number;
}

/** What befell a container: look at its process, at its name, or forget it. */
export interface DockerEvent {
  readonly kind: 'process' | 'description' | 'gone';
  readonly id: string;
}

const KINDS: ReadonlyMap<string, DockerEvent['kind']> = new Map([
  ['create', 'description'],
  ['rename', 'description'],
  ['update', 'description'],
  ['start', 'process'],
  ['restart', 'process'],
  ['die', 'process'],
  ['died', 'process'], // Podman's word
  ['destroy', 'gone'],
  ['remove', 'gone'], // Podman's word
]);
const STATES_WITH_PROCESS = ['running', 'paused'];

/** Who answers `GET /version`. */
export function parseVersion(answer: unknown): Runtime {
  const components = list(property(answer, 'Components'));
  return components.some((each) => property(each, 'Name') === 'Podman Engine') ? 'podman' : 'docker';
}

/** The answer of `GET /containers/json`. Throws RangeError. */
export function parseContainerList(answer: unknown): Listed[] {
  if (!Array.isArray(answer)) throw new RangeError('no list of containers');
  return answer.map((each) => {
    const names = list(property(each, 'Names')).flatMap((name) => {
      const bare = typeof name === 'string' ? name.replace(/^\//u, '') : '';
      return bare === '' || bare.includes('/') ? [] : [bare]; // /web/db: what a link calls it
    });
    const { labels, leftOut } = boundLabels(textEntries(property(each, 'Labels')));
    const image = property(each, 'Image');
    return {
      id: idOf(property(each, 'Id')),
      hasProcess: STATES_WITH_PROCESS.includes(String(property(each, 'State'))),
      description: { names, labels, ...(typeof image === 'string' && image !== '' && { image }) },
      leftOut,
    };
  });
}

/** The process of what `GET /containers/ID/json` answers; undefined when it has none. */
export function parsePid(answer: unknown): number | undefined {
  const pid = property(property(answer, 'State'), 'Pid');
  return typeof pid === 'number' && Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

/** A line of `GET /events`; undefined for what does not concern us. Throws SyntaxError, RangeError. */
export function parseEvent(line: string): DockerEvent | undefined {
  const event: unknown = JSON.parse(line);
  const action = property(event, 'Action') ?? property(event, 'status');
  const kind = KINDS.get(String(action));
  if (property(event, 'Type') !== 'container' || kind === undefined) return undefined;
  return { kind, id: idOf(property(property(event, 'Actor'), 'ID') ?? property(event, 'id')) };
}

/* It becomes part of a path. */
function idOf(value: unknown): string {
  if (typeof value === 'string' && /^[0-9a-f]{12,128}$/u.test(value)) return value;
  throw new RangeError(`container id ${JSON.stringify(value)?.slice(0, 100)}: hexadecimal digits are legal`);
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function textEntries(value: unknown): [string, string][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => (typeof each === 'string' ? [[key, each]] : []));
}
