import { LAYOUT } from './layout.ts';
import type { DatapathState } from './state.ts';
import { placeOf, readBytes, readField } from './struct.ts';

/** A query that waits for its answer. `name` is in wire form, lower case. */
export interface PendingQuery {
  readonly client: Uint8Array;
  readonly clientPort: number;
  readonly resolver: Uint8Array;
  readonly l4Proto: number;
  readonly qtype: number;
  readonly name: Uint8Array;
  readonly ruleIds: readonly number[];
}

/** The queries of one client socket that wait. Reads the whole map: for the rare answer in pieces. */
export function pendingOf(
  state: DatapathState,
  client: Uint8Array,
  clientPort: number,
  l4Proto: number,
): PendingQuery[] {
  const found: PendingQuery[] = [];
  for (const [key, value] of state.map('pending_queries').entries()) {
    if (readField(key, 'pending_key', 'client_port_be') !== clientPort) continue;
    if (readField(key, 'pending_key', 'l4_proto') !== l4Proto) continue;
    const from = readBytes(key, 'pending_key', 'client');
    if (Buffer.compare(from, client) !== 0) continue;
    const rules = placeOf('pending', 'rules')[0];
    const ruleIds: number[] = [];
    for (let at = rules; at < rules + LAYOUT.pending.fields.rules[1]; at += 4) {
      const id = value.readUInt32LE(at);
      if (id) ruleIds.push(id);
    }
    const name = placeOf('pending', 'name')[0];
    found.push({
      client: from,
      clientPort,
      resolver: readBytes(key, 'pending_key', 'resolver'),
      l4Proto,
      qtype: readField(value, 'pending', 'qtype'),
      name: Uint8Array.from(value.subarray(name, name + readField(value, 'pending', 'name_length'))),
      ruleIds,
    });
  }
  return found;
}
