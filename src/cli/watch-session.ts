import { VitalsReader } from '../enforcer/vitals.ts';
import { SystemError, UnsupportedError } from '../errors.ts';
import type { Event } from '../flow/event.ts';
import type { Painter } from '../flow/render-text.ts';
import { Scope } from '../scope.ts';
import { parseKeys } from '../watch/keys.ts';
import { WatchModel } from '../watch/model.ts';
import { renderFrame } from '../watch/render.ts';
import { Screen } from './screen.ts';

const FRAME_MS = 100;
/** Ages and rates go on without events. */
const LEAST_OFTEN_MS = 1_000;
const VITALS_MS = 2_000;
/** Reading them takes at most so much of the time. */
const VITALS_SHARE = 0.1;
/** Where there is no shell to go to, we go on. */
const SUSPENDED_MS = 200;

const SIGNALS = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const;

/** The view of one enforcer in this process's terminal, from keys, signals, vitals and the events that it is given. */
export class WatchSession implements Disposable {
  readonly #scope = new Scope();
  readonly #model: WatchModel;
  readonly #vitals: VitalsReader;
  readonly #colour: Painter;
  readonly #screen: Screen;
  readonly #onEnd: () => void;
  #looking: NodeJS.Timeout | undefined;
  #code: number | undefined;
  #isDirty = true;
  #drawnMs = 0;

  /** @param onEnd somebody wants it to end */
  constructor(instance: string, colour: Painter, onEnd: () => void) {
    this.#model = new WatchModel(instance);
    this.#vitals = new VitalsReader(instance);
    this.#colour = colour;
    this.#onEnd = onEnd;
    this.#screen = this.#scope.use(new Screen());
    this.#listen();
    this.#look();
    const drawing = setInterval(() => this.#drawIfNeeded(), FRAME_MS);
    this.#scope.defer(() => {
      clearInterval(drawing);
      clearTimeout(this.#looking);
    });
  }

  /** The exit code that a key or a signal asked for; undefined = none did. */
  get code(): number | undefined {
    return this.#code;
  }

  take(event: Event): void {
    this.#model.take(event);
    this.#isDirty = true;
  }

  /** Gives the terminal back. Idempotent. */
  [Symbol.dispose](): void {
    this.#screen.close(); // first: a signal that comes without a listener ends us
    this.#scope.close();
  }

  #listen(): void {
    for (const [signal, code] of SIGNALS) this.#on(process, signal, () => this.#end(code));
    this.#on(process, 'SIGCONT', () => this.#resume());
    this.#on(process.stdout, 'resize', () => this.#redraw());
    process.stdin.setEncoding('utf8');
    this.#on(process.stdin, 'data', (input) => this.#press(String(input)));
    // The terminal is gone.
    this.#on(process.stdin, 'end', () => this.#end(129));
    this.#on(process.stdin, 'error', () => this.#end(129));
  }

  #on(emitter: NodeJS.EventEmitter, name: string, act: (value?: unknown) => void): void {
    emitter.on(name, act);
    this.#scope.defer(() => emitter.off(name, act));
  }

  #end(code: number): void {
    this.#code ??= code;
    this.#onEnd();
  }

  #press(input: string): void {
    for (const key of parseKeys(input)) {
      const wish = this.#model.press(key);
      if (wish === 'quit') this.#end(0);
      if (wish === 'suspend') this.#suspend();
      if (wish === 'redraw') this.#screen.forget();
    }
    this.#isDirty = true;
  }

  /* As a program that leaves the key to the terminal: its shell has it until SIGCONT. */
  #suspend(): void {
    this.#screen.close();
    process.kill(0, 'SIGTSTP');
    setTimeout(() => this.#resume(), SUSPENDED_MS);
  }

  #resume(): void {
    if (this.#code !== undefined) return;
    this.#screen.open();
    this.#redraw();
  }

  #redraw(): void {
    this.#screen.forget();
    this.#isDirty = true;
  }

  #look(): void {
    const begun = performance.now();
    try {
      const vitals = this.#vitals.read();
      if (vitals) this.#model.know(vitals);
    } catch (thrown) {
      // It is just ending, and its pins go: its events will end, too.
      if (!(thrown instanceof SystemError || thrown instanceof UnsupportedError)) throw thrown;
    }
    this.#isDirty = true;
    const pauseMs = Math.max(VITALS_MS, (performance.now() - begun) / VITALS_SHARE);
    this.#looking = setTimeout(() => this.#look(), pauseMs);
  }

  #drawIfNeeded(): void {
    const nowMs = Date.now();
    if (!this.#isDirty && nowMs - this.#drawnMs < LEAST_OFTEN_MS) return;
    this.#isDirty = false;
    this.#drawnMs = nowMs;
    this.#screen.show(renderFrame(this.#model, this.#screen.size, this.#colour, nowMs));
  }
}
