import type { PortRange } from '../policy/port.ts';
import type { Value } from './value.ts';

const FAMILIES = ['IPv4', 'IPv6'] as const;
const MAX_TYPE = 255;
/** Fields of one entry (pkg/policy/api/rule_validation.go). */
const MAX_FIELDS = 40;

interface Family {
  readonly l4Proto: number;
  readonly types: ReadonlyMap<string, number>;
}

/* The names of types are Cilium's (Documentation/security/policy/layer4.rst), "RouterSelection" too. */
const V4: Family = {
  l4Proto: 1,
  types: new Map([
    ['EchoReply', 0],
    ['DestinationUnreachable', 3],
    ['Redirect', 5],
    ['Echo', 8],
    ['EchoRequest', 8],
    ['RouterAdvertisement', 9],
    ['RouterSelection', 10],
    ['TimeExceeded', 11],
    ['ParameterProblem', 12],
    ['Timestamp', 13],
    ['TimestampReply', 14],
    ['Photuris', 40],
    ['ExtendedEchoRequest', 42],
    ['ExtendedEchoReply', 43],
  ]),
};

const V6: Family = {
  l4Proto: 58,
  types: new Map([
    ['DestinationUnreachable', 1],
    ['PacketTooBig', 2],
    ['TimeExceeded', 3],
    ['ParameterProblem', 4],
    ['EchoRequest', 128],
    ['EchoReply', 129],
    ['MulticastListenerQuery', 130],
    ['MulticastListenerReport', 131],
    ['MulticastListenerDone', 132],
    ['RouterSolicitation', 133],
    ['RouterAdvertisement', 134],
    ['NeighborSolicitation', 135],
    ['NeighborAdvertisement', 136],
    ['RedirectMessage', 137],
    ['RouterRenumbering', 138],
    ['ICMPNodeInformationQuery', 139],
    ['ICMPNodeInformationResponse', 140],
    ['InverseNeighborDiscoverySolicitation', 141],
    ['InverseNeighborDiscoveryAdvertisement', 142],
    ['HomeAgentAddressDiscoveryRequest', 144],
    ['HomeAgentAddressDiscoveryReply', 145],
    ['MobilePrefixSolicitation', 146],
    ['MobilePrefixAdvertisement', 147],
    ['DuplicateAddressRequestCodeSuffix', 157],
    ['DuplicateAddressConfirmationCodeSuffix', 158],
    ['ExtendedEchoRequest', 160],
    ['ExtendedEchoReply', 161],
  ]),
};

/** An entry of `icmps`: types of ICMP and ICMPv6, none when it has no fields. */
export function readIcmp(value: Value, action: 'allow' | 'deny'): PortRange[] {
  const map = value.map('a map with "fields" is legal');
  const list = map?.getNonNull('fields');
  const fields = list?.list() ?? [];
  map?.end();
  if (action === 'deny' && fields.length === 0) value.warn('denies nothing: it lists no "fields"');
  if (fields.length > MAX_FIELDS)
    list?.error(`has ${fields.length} entries: at most ${MAX_FIELDS} are legal`);
  return fields.flatMap(readField);
}

function readField(value: Value): PortRange[] {
  const map = value.map('a map with "family" and "type" is legal');
  if (!map) return [];
  const family = map.getNonNull('family')?.word(FAMILIES) ?? 'IPv4';
  const { l4Proto, types } = family === 'IPv6' ? V6 : V4;
  const type = map.require('type', 'the number or the name of a type is legal');
  map.end();
  const text = type?.scalarText('the number or the name of a type is legal');
  if (!type || text === undefined) return [];
  const number = /^(?:0|[1-9]\d{0,2})$/u.test(text) ? Number(text) : types.get(text);
  if (number !== undefined && number <= MAX_TYPE) return [{ l4Proto, low: number, high: number }];
  const names = [...types.keys()].join(', ');
  return type.error(`is "${text}": 0 to ${MAX_TYPE}, ${names} is legal for ${family}`) ?? [];
}
