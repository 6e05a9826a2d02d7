import type { PortRange } from '../policy/port.ts';
import type { DnsMode, Rule } from '../policy/rule.ts';
import type { Shaping } from '../policy/shaping.ts';
import type { Subject } from '../policy/subject.ts';
import type { MapValue } from './value.ts';

/** What one document says, whatever its kind. */
export interface PolicyPart {
  /** `metadata.name`, or the name of the file. */
  readonly name: string;
  /** The file that it stands in, as its owner gave it. */
  readonly file?: string;
  /** Whom it is for; undefined = whom the command line names. */
  readonly subject?: Subject;
  /**
   * Whether the subject's egress is controlled by it, so that what no rule allows is refused. A part that does not
   * restrict adds its rules all the same, which matter where another does.
   */
  readonly restricts: boolean;
  readonly rules: readonly Rule[];
  /** It restricts, and whether it is for the subject can't be known: `-lenient` left it out. */
  readonly isLeftOut?: true;
  /** Settings, undefined = says nothing of it. */
  readonly dns?: DnsMode;
  readonly allowPrivateAnswers?: boolean;
  readonly shaping?: Shaping;
  /** Local ports on which calls from outside are taken; an empty list is none. */
  readonly inbound?: readonly PortRange[];
  /** The interface whose egress is controlled. */
  readonly eface?: string;
  /** The interface on which DNS answers come in. */
  readonly iface?: string;
  /** How programs are attached: `tc` or `cgroup`. */
  readonly mode?: 'tc' | 'cgroup';
}

/** What the command line says that documents need. */
export interface FormatContext {
  /** Labels of the subject, from -label; undefined = it has none that are known. */
  readonly labels?: ReadonlyMap<string, string>;
  /** Networks (`NAMESPACE/NAME` or `NAME`) of the controlled interfaces, from -network; undefined = not said. */
  readonly networks?: readonly string[];
}

/**
 * Reads one document of a kind: `document` holds all its keys, `apiVersion` and `kind` known already. Reports what is
 * wrong in the problems of its values, and then answers what it could read. It may hold several parts, or none.
 */
export type ReadPolicy = (document: MapValue, context: FormatContext) => PolicyPart[];
