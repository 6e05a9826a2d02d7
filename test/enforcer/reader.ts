import { PolicyReader } from '../../src/enforcer/policy-source.ts';

/** A reader of policy files, with nothing said by flags. */
export function readerOf(...files: readonly string[]): PolicyReader {
  return new PolicyReader({
    line: {
      subjects: [{ kind: 'host' }],
      rules: [],
      defaultDns: 'open',
      audit: false,
      allowPrivateAnswers: false,
    },
    files,
    presets: [],
    lenient: false,
    context: {},
    isModeGiven: false,
  });
}
