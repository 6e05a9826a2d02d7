import { UsageError } from '../errors.ts';
import type { ContainerSubject } from '../policy/subject.ts';
import type { Container } from './container.ts';

/** How much of an id has to be given. */
const MIN_ID_DIGITS = 4;

/**
 * Whether the subject means this container, looked at alone: one of its names, its id or the beginning of one with
 * four hexadecimal digits or more; or a label with that value.
 */
export function matchesContainer(subject: ContainerSubject, container: Container): boolean {
  if (subject.kind === 'label') return container.labels.get(subject.key) === subject.value;
  return isNamed(subject.name, container) || isIdPrefix(subject.name, container.id);
}

/**
 * Those of `containers` that the subject means. A name or a whole id goes before the beginning of another one's id.
 * Throws UsageError when the beginning of an id fits several.
 */
export function findContainers(
  subject: ContainerSubject,
  containers: readonly Container[],
): readonly Container[] {
  const matching = containers.filter((container) => matchesContainer(subject, container));
  if (subject.kind === 'label') return matching;
  const named = matching.filter((container) => isNamed(subject.name, container));
  if (named.length > 0 || matching.length < 2) return named.length > 0 ? named : matching;
  throw new UsageError(
    `container "${subject.name}" is the beginning of ${matching.length} ids, of "${matching
      .slice(0, 3)
      .map(({ id }) => id)
      .join('", "')}": a name, or more of the id, is legal`,
  );
}

function isNamed(name: string, container: Container): boolean {
  return container.id === name || container.names.includes(name);
}

function isIdPrefix(text: string, id: string): boolean {
  return (
    text.length >= MIN_ID_DIGITS &&
    /^[0-9a-f]+$/u.test(text) &&
    /^[0-9a-f]{12,}$/u.test(id) &&
    id.startsWith(text)
  );
}
