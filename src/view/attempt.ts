import type { DnsEvent, Event, FlowEvent } from '../flow/event.ts';

/** Whether an event tells of attempts; the end of a flow tells of one that is counted already. */
export function isAttempt(event: Event): event is DnsEvent | FlowEvent {
  return (event.kind === 'flow' || event.kind === 'dns') && event.reason !== 'ended';
}
