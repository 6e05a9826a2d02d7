/** Bytes of a name without compression; letters keep their case. `.` is the root. */
export function name(text: string): number[] {
  if (text === '.') return [0];
  return [...text.split('.').flatMap((label) => [label.length, ...ascii(label)]), 0];
}

/** Bytes of a pointer to `offset`. */
export function pointer(offset: number): number[] {
  return u16(0xc000 | offset);
}

/** What a record may have besides: `rdataBytes` is the length that it claims. */
export interface RecordOptions {
  readonly ttl?: number;
  readonly rclass?: number;
  readonly rdataBytes?: number;
}

/** Bytes of a record. */
export function record(
  owner: readonly number[],
  rtype: number,
  rdata: readonly number[],
  { ttl = 300, rclass = 1, rdataBytes = rdata.length }: RecordOptions = {},
): number[] {
  return [
    ...owner,
    ...u16(rtype),
    ...u16(rclass),
    ...u16(ttl >>> 16),
    ...u16(ttl & 0xffff),
    ...u16(rdataBytes),
    ...rdata,
  ];
}

/** Parts of a message that differ from an answer to `www.example.com A`. Each record is its bytes. */
export interface MessageParts {
  readonly id?: number;
  readonly flags?: number;
  readonly question?: readonly number[];
  readonly questions?: number;
  readonly answers?: readonly (readonly number[])[];
  readonly authorities?: readonly (readonly number[])[];
  readonly additionals?: readonly (readonly number[])[];
  /** Added to the counts of the three sections. */
  readonly countErrors?: readonly [number, number, number];
  readonly trailing?: readonly number[];
}

/** Where the records begin in a message with the default question. */
export const RECORDS_AT = 12 + 17 + 4;

/** Where the default question's name is: what a pointer to it points to. */
export const QNAME_AT = 12;

/** Bytes of a message. */
export function message({
  id = 0x1234,
  flags = 0x8180,
  question = [...name('www.example.com'), 0, 1, 0, 1],
  questions = 1,
  answers = [],
  authorities = [],
  additionals = [],
  countErrors: [moreAnswers, moreAuthorities, moreAdditionals] = [0, 0, 0],
  trailing = [],
}: MessageParts = {}): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([
    ...u16(id),
    ...u16(flags),
    ...u16(questions),
    ...u16(answers.length + moreAnswers),
    ...u16(authorities.length + moreAuthorities),
    ...u16(additionals.length + moreAdditionals),
    ...question,
    ...answers.flat(),
    ...authorities.flat(),
    ...additionals.flat(),
    ...trailing,
  ]);
}

/** Bytes of a 16-bit number. */
export function u16(number: number): number[] {
  return [(number >> 8) & 0xff, number & 0xff];
}

/** Bytes of a text, one for each character. */
export function ascii(text: string): number[] {
  return [...text].map((character) => character.charCodeAt(0));
}
