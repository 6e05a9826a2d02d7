import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findCheckout, findCli } from '../lab/checkout.ts';
import { type Argv, must } from './must.ts';

/** The shells whose completion is tested. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** A word of `SHELLS`. */
export type Shell = (typeof SHELLS)[number];

const HERE = join(findCheckout(), 'test/manual');

/** The scripts as `l7egg-cli completion` prints them, in a folder that goes with it. */
export class Scripts implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'l7egg-completion-'));

  constructor() {
    for (const shell of SHELLS) writeFileSync(this.#path(shell), must([findCli(), 'completion', shell]));
    // Where compinit finds it, as `make install` has it.
    mkdirSync(join(this.#folder, 'functions'));
    writeFileSync(join(this.#folder, 'functions/_l7egg-cli'), must([findCli(), 'completion', 'zsh']));
    writeFileSync(join(this.#folder, 'setup.bash'), this.#setupBash());
    writeFileSync(join(this.#folder, 'setup.zsh'), this.#setupZsh('compinit -u -D'));
    writeFileSync(
      join(this.#folder, 'sourced.zsh'),
      this.#setupZsh(`fpath=(\${fpath:#${this.#folder}/*}); compinit -u -D; source ${this.#path('zsh')}`),
    );
  }

  /** What a shell offers at the end of each line: of bash and fish the words, of zsh the line with the only one. */
  offers(shell: Shell, lines: readonly string[]): string[][] {
    if (shell === 'zsh') return this.typed('setup.zsh', lines).map((line) => [line]);
    if (shell === 'bash') return this.callBash(lines);
    const script = `source ${this.#path('fish')}; for line in $argv; complete -C $line | string replace -r '\\t.*' '' | string join \\t; echo; end`;
    const output = must(['fish', '--no-config', '-c', script, ...lines]);
    return splitRows(output.replace(/\n\n/gu, '\n'), lines.length);
  }

  /** What bash's function offers; `hasBashCompletion`: as if the package bash-completion were there. */
  callBash(lines: readonly string[], hasBashCompletion = false): string[][] {
    const argv: Argv = ['bash', '--norc', join(HERE, 'complete.bash'), this.#path('bash'), ...lines];
    return splitRows(must(argv, { STUB: hasBashCompletion ? '1' : '' }), lines.length);
  }

  /** What becomes of each line when Tab is pressed behind it in an interactive bash or zsh. */
  typed(setup: 'setup.bash' | 'setup.zsh' | 'sourced.zsh', lines: readonly string[]): string[] {
    const shell = setup.endsWith('bash') ? 'bash' : 'zsh';
    const argv: Argv = ['zsh', '-f', join(HERE, 'typed.zsh'), shell, join(this.#folder, setup), ...lines];
    return must(argv).split('\n').slice(0, -1);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #path(shell: Shell): string {
    return join(this.#folder, `completion.${shell}`);
  }

  #setupBash(): string {
    return [
      'PS1= PS2=',
      `source ${this.#path('bash')}`,
      `bind 'set bell-style none'`,
      `bind 'set enable-bracketed-paste off'`,
      `report() { printf '<<%s>>\\n' "$READLINE_LINE"; READLINE_LINE=; }`,
      `bind -x '"\\C-t": report'`,
      '',
    ].join('\n');
  }

  #setupZsh(begin: string): string {
    return [
      'PS1= PS2= RPS1=',
      `fpath=(${this.#folder}/functions $fpath)`,
      'autoload -Uz compinit',
      begin,
      'setopt no_beep',
      'report() { print -r -- "<<$BUFFER>>"; BUFFER= }',
      'zle -N report',
      `bindkey '^I' complete-word`,
      `bindkey '^T' report`,
      '',
    ].join('\n');
  }
}

function splitRows(output: string, count: number): string[][] {
  const rows = output.split('\n').slice(0, count);
  return rows.map((row) => row.split('\t').filter(Boolean));
}
