import { escapeControl } from '../flow/escape.ts';
import { Protocol } from '../flow/protocol.ts';
import { type PortRange, portText } from '../policy/port.ts';
import { PORTED } from './protocols.ts';
import type { SeenFlow } from './seen.ts';

const MAX_TYPE = 255;
const MAX_PORT = 65_535;

/** What a flow went to as a range of a rule; none for port 0, which no rule can name. */
export function portsOf({ l4Proto, port }: SeenFlow): PortRange[] {
  if (l4Proto === Protocol.icmp || l4Proto === Protocol.icmpv6) {
    return port === undefined ? [{ l4Proto, low: 0, high: MAX_TYPE }] : [{ l4Proto, low: port, high: port }];
  }
  if (!PORTED.includes(l4Proto)) return [{ l4Proto, low: 0, high: MAX_PORT }];
  return port === undefined || port === 0 ? [] : [{ l4Proto, low: port, high: port }];
}

/** Where a flow went, for a person, escaped: `www.example.com (198.51.100.7) 443/tcp`. */
export function targetText(flow: SeenFlow): string {
  const { name, addresses } = flow;
  const [address = '-'] = addresses;
  const ports = portsOf(flow).map(portText).join(', ') || 'port 0';
  return name === undefined ? `${address} ${ports}` : `${escapeControl(name)} (${address}) ${ports}`;
}
