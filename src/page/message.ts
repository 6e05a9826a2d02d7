/** A message of a stream (HTML Standard, "Server-sent events"), with its kind, and the id to go on from after it. */
export interface Message {
  /** `lost`: a number of events that fell out before the reader got to them. */
  readonly kind: 'state' | 'events' | 'lost' | 'beat';
  /** JSON texts, each on one line. */
  readonly lines: readonly string[];
  readonly id?: string;
}

/** A message as it goes over the wire. */
export function encodeMessage({ kind, lines, id }: Message): string {
  const head = id === undefined ? '' : `id: ${id}\n`;
  return `${head}event: ${kind}\n${lines.map((line) => `data: ${line}\n`).join('')}\n`;
}

/** Where a reader is: after event `seq` of the enforcer's run `run`; other runs count from one again. */
export function encodePlace(run: string, seq: number): string {
  return `${run}.${seq}`;
}

/** The `seq` after which a reader goes on that has a `Last-Event-ID`; 0 when it is none of this run. */
export function decodePlace(run: string, lastEventId: string | undefined): number {
  const [, from, seq] = /^([\w-]{1,64})\.(\d{1,15})$/u.exec(lastEventId ?? '') ?? [];
  return from === run ? Number(seq) : 0;
}
