import { Protocol } from '../flow/protocol.ts';

/** Protocols with ports, as Kubernetes writes them; 132 is SCTP. */
export const TRANSPORT_WORDS: ReadonlyMap<number, string> = new Map([
  [Protocol.tcp, 'TCP'],
  [Protocol.udp, 'UDP'],
  [132, 'SCTP'],
]);

/** How an object of Kubernetes begins. */
export function kubernetesHead(apiVersion: string, kind: string, name: string): string[] {
  return [`apiVersion: ${apiVersion}`, `kind: ${kind}`, 'metadata:', `  name: ${name}`];
}
