/** One member of a struct or union. Members of anonymous structs and unions stand in their owner's list. */
export interface BtfField {
  readonly name: string;
  /** Bytes from the start of the named struct. */
  readonly offset: number;
  /** Bytes; an array's whole length. */
  readonly size: number;
  /** Whether it shares its bytes with others, as a member of a union. */
  readonly inUnion: boolean;
}

/** Size in bytes and members, in the order of their declaration. */
export interface BtfStruct {
  readonly size: number;
  readonly fields: readonly BtfField[];
}

/** The named structs and enums of one object. */
export interface Btf {
  readonly structs: ReadonlyMap<string, BtfStruct>;
  readonly enums: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

// include/uapi/linux/btf.h
const BTF_MAGIC = 0xeb9f;
const KIND_INT = 1;
const KIND_PTR = 2;
const KIND_ARRAY = 3;
const KIND_STRUCT = 4;
const KIND_UNION = 5;
const KIND_ENUM = 6;
const KIND_FUNC_PROTO = 13;
const KIND_VAR = 14;
const KIND_DATASEC = 15;
const KIND_FLOAT = 16;
const KIND_DECL_TAG = 17;
const KIND_ENUM64 = 19;

interface BtfType {
  readonly name: string;
  readonly kind: number;
  readonly vlen: number;
  readonly kindFlag: boolean;
  /** Size in bytes, or the id of the type referred to: it depends on the kind. */
  readonly sizeOrType: number;
  /** Offset of what follows the three common words. */
  readonly bodyOffset: number;
}

/** Bytes that follow the common words; -1 for a kind that is not known. */
function bodySize(kind: number, vlen: number): number {
  switch (kind) {
    case KIND_INT:
    case KIND_VAR:
    case KIND_DECL_TAG:
      return 4;
    case KIND_ARRAY:
      return 12;
    case KIND_STRUCT:
    case KIND_UNION:
    case KIND_DATASEC:
    case KIND_ENUM64:
      return vlen * 12;
    case KIND_ENUM:
    case KIND_FUNC_PROTO:
      return vlen * 8;
    default:
      return kind > 0 && kind < KIND_ENUM64 ? 0 : -1;
  }
}

/** The bytes of section `name` of a 64-bit little-endian ELF file; throws when there is none. */
export function readElfSection(elf: Uint8Array, name: string): Uint8Array {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
  if (elf.byteLength < 64 || view.getUint32(0) !== 0x7f454c46) throw new Error('Cannot read object: not ELF');
  if (elf[4] !== 2 || elf[5] !== 1) throw new Error('Cannot read object: not 64-bit little-endian ELF');
  const tableOffset = Number(view.getBigUint64(40, true));
  const headerOffset = (index: number): number => tableOffset + index * view.getUint16(58, true);
  const content = (header: number): Uint8Array => {
    const offset = Number(view.getBigUint64(header + 24, true));
    return elf.subarray(offset, offset + Number(view.getBigUint64(header + 32, true)));
  };
  const names = content(headerOffset(view.getUint16(62, true)));
  for (let index = 0; index < view.getUint16(60, true); index++) {
    const header = headerOffset(index);
    if (readCString(names, view.getUint32(header, true)) === name) return content(header);
  }
  throw new Error(`Cannot find section "${name}" in the object`);
}

/** Reads the type information that clang put into a BPF object; throws when it is malformed. */
export function parseBtf(elf: Uint8Array): Btf {
  const btf = readElfSection(elf, '.BTF');
  const view = new DataView(btf.buffer, btf.byteOffset, btf.byteLength);
  if (view.getUint16(0, true) !== BTF_MAGIC) throw new Error('Cannot read .BTF: wrong magic number');
  const types = readTypes(btf, view);
  const structs = new Map<string, BtfStruct>();
  const enums = new Map<string, ReadonlyMap<string, number>>();
  const strings = btf.subarray(view.getUint32(4, true) + view.getUint32(16, true));
  for (const type of types) {
    if (type.name === '') continue;
    if (type.kind === KIND_STRUCT || type.kind === KIND_UNION) {
      structs.set(type.name, {
        size: type.sizeOrType,
        fields: readFields(view, strings, types, type, 0, false),
      });
    } else if (type.kind === KIND_ENUM) {
      enums.set(type.name, readEnum(view, strings, type));
    }
  }
  return { structs, enums };
}

function readTypes(btf: Uint8Array, view: DataView): BtfType[] {
  const headerSize = view.getUint32(4, true);
  const end = headerSize + view.getUint32(8, true) + view.getUint32(12, true);
  const strings = btf.subarray(headerSize + view.getUint32(16, true));
  // Type ids begin at 1; 0 is void.
  const types: BtfType[] = [{ name: '', kind: 0, vlen: 0, kindFlag: false, sizeOrType: 0, bodyOffset: 0 }];
  for (let offset = headerSize + view.getUint32(8, true); offset < end; ) {
    const facts = view.getUint32(offset + 4, true);
    const kind = (facts >>> 24) & 0x1f;
    const vlen = facts & 0xffff;
    const size = bodySize(kind, vlen);
    if (size < 0) throw new Error(`Cannot read .BTF: type ${types.length} has the unknown kind ${kind}`);
    types.push({
      name: readCString(strings, view.getUint32(offset, true)),
      kind,
      vlen,
      kindFlag: facts >>> 31 === 1,
      sizeOrType: view.getUint32(offset + 8, true),
      bodyOffset: offset + 12,
    });
    offset += 12 + size;
  }
  return types;
}

function readFields(
  view: DataView,
  strings: Uint8Array,
  types: readonly BtfType[],
  owner: BtfType,
  base: number,
  inUnion: boolean,
): BtfField[] {
  const shared = inUnion || owner.kind === KIND_UNION;
  return Array.from({ length: owner.vlen }, (_, index) => owner.bodyOffset + index * 12).flatMap((at) => {
    const name = readCString(strings, view.getUint32(at, true));
    const type = typeAt(types, view.getUint32(at + 4, true));
    const position = view.getUint32(at + 8, true);
    if (owner.kindFlag && position >>> 24 > 0)
      throw new Error(`Cannot mirror "${owner.name}.${name}": a bit field`);
    const offset = base + (owner.kindFlag ? position & 0xffffff : position) / 8;
    if (name === '') return readFields(view, strings, types, type, offset, shared);
    return [{ name, offset, size: sizeOf(view, types, type), inUnion: shared }];
  });
}

function readEnum(view: DataView, strings: Uint8Array, type: BtfType): Map<string, number> {
  const values = new Map<string, number>();
  for (let index = 0; index < type.vlen; index++) {
    const at = type.bodyOffset + index * 8;
    values.set(readCString(strings, view.getUint32(at, true)), view.getInt32(at + 4, true));
  }
  return values;
}

function sizeOf(view: DataView, types: readonly BtfType[], type: BtfType): number {
  switch (type.kind) {
    case KIND_INT:
    case KIND_STRUCT:
    case KIND_UNION:
    case KIND_ENUM:
    case KIND_FLOAT:
    case KIND_ENUM64:
      return type.sizeOrType;
    case KIND_PTR:
      return 8;
    case KIND_ARRAY: {
      const element = typeAt(types, view.getUint32(type.bodyOffset, true));
      return sizeOf(view, types, element) * view.getUint32(type.bodyOffset + 8, true);
    }
    case 0:
      throw new Error('Cannot size a member: its type is incomplete');
    default:
      return sizeOf(view, types, typeAt(types, type.sizeOrType));
  }
}

function typeAt(types: readonly BtfType[], id: number): BtfType {
  const type = types[id];
  if (type === undefined) throw new Error(`Cannot read .BTF: there is no type ${id}`);
  return type;
}

function readCString(bytes: Uint8Array, offset: number): string {
  const end = bytes.indexOf(0, offset);
  return new TextDecoder().decode(bytes.subarray(offset, end < 0 ? bytes.length : end));
}
