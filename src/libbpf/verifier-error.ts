import { SystemError } from '../errors.ts';

const SHOWN_LINES = 20;

/** The kernel's verifier refused a program; the message ends with the last lines of its log. */
export class VerifierError extends SystemError {
  /** All that the verifier said. */
  readonly log: string;

  constructor(operation: string, code: string, log: string) {
    super(operation, code);
    this.log = log;
    this.message += `\n${log.trimEnd().split('\n').slice(-SHOWN_LINES).join('\n')}`;
  }

  override get lines(): readonly string[] {
    return this.message.split('\n');
  }
}
