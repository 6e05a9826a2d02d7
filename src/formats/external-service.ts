import { parseName } from '../policy/name.ts';
import type { PortRange } from '../policy/port.ts';
import { type Prefix, parseAddress, parsePrefix } from '../policy/prefix.ts';
import type { Who } from '../policy/who.ts';
import { allowEach, readPort, splitPorts } from './kube-ports.ts';
import { readMetadata } from './object-metadata.ts';
import type { PolicyPart } from './part.ts';
import type { MapValue, Value } from './value.ts';

const PROTOCOLS = ['TCP', 'UDP'] as const;
const SPEC = 'a map with "dnsName" and "ports" is legal';

/** How the operator's gateways run; here the way out is direct, without a gateway. */
const GATEWAY_KEYS = [
  'minReplicas',
  'maxReplicas',
  'targetCPUUtilizationPercentage',
  'resources',
  'serviceTopologyMode',
  'envoyClusterMaxConnections',
  'envoyLogLevel',
  'envoyDnsRefreshRateS',
  'envoyRespectDnsTTL',
  'envoyJsonAdminAccessLogs',
  'envoyJsonClusterAccessLogs',
  // Makes the cluster's DNS answer with the gateway's address; the name's own answer is what leads out here.
  'hijackDns',
] as const;

/**
 * Reads an ExternalService, egress.monzo.com/v1: a name, and the ports on which it may be called. The operator blocks
 * nothing by itself but relies on a policy that denies the rest; here the rest is refused without one, since nobody
 * lists what may be called to have everything open. It chooses no pods: that is said by labels of theirs.
 */
export function readExternalService(document: MapValue): PolicyPart[] {
  const { name } = readMetadata(document);
  document.ignore('status');
  const spec = document.require('spec', SPEC)?.map(SPEC);
  document.end();
  if (!spec) return [];
  spec.ignore(...GATEWAY_KEYS);
  const dnsName = spec.require('dnsName', 'a name such as www.example.com is legal');
  const ports = spec.getNonNull('ports');
  const addresses = spec.getNonNull('ipOverride')?.list('a list of addresses is legal') ?? [];
  spec.end();
  const exact = dnsName?.parse(parseName, 'a name such as www.example.com is legal');
  const whos: Who[] = [
    ...(exact === undefined ? [] : [{ kind: 'exact', name: exact } as const]),
    // Where the gateway connects first; when these do not answer it goes on to the name's own.
    ...addresses.flatMap((each): Who[] => {
      const prefix = each.parse(parseHost, 'an address such as 192.0.2.1 is legal');
      return prefix ? [{ kind: 'prefix', prefix, except: [] }] : [];
    }),
  ];
  return [{ name, restricts: true, rules: allowEach(whos, readServicePorts(spec, ports), name) }];
}

/* A gateway listens on the ports listed and on no other, so that an empty list is no port, not every one. */
function readServicePorts(spec: MapValue, list: Value | undefined): PortRange[][] {
  const items = list?.list('a list of ports is legal') ?? [];
  if (items.length === 0)
    spec.value.warn('has no "ports", so it may be called on none: [{port: 443}] there would allow that one');
  return list
    ? splitPorts(
        list,
        items.flatMap((each) => readPort(each, PROTOCOLS) ?? []),
      )
    : [];
}

function parseHost(text: string): Prefix {
  parseAddress(text);
  return parsePrefix(text).prefix;
}
