import { createConnection, type Socket } from 'node:net';

/**
 * A reader of a control socket without a process of its own, so that there can be many: it counts the events of
 * `observe -f`, and looks at their numbers only.
 */
export class EventCounter implements Disposable {
  readonly #socket: Socket;
  readonly #isCounted: (line: string) => boolean;
  #rest = '';
  #isFollowing = false;
  /** Number of the first event, and of the last. */
  first = 0;
  last = 0;
  /** Events that came. */
  events = 0;
  /** Of these, the ones that are counted. */
  counted = 0;
  /** What events said was lost. */
  lost = 0;
  /** Events whose number is not right behind that of the one before, and how many are missing in all. */
  gaps = 0;
  missing = 0;
  /** Events whose number is not greater than that of the one before. */
  disordered = 0;

  constructor(path: string, isCounted: (line: string) => boolean = () => true) {
    this.#isCounted = isCounted;
    this.#socket = createConnection(path);
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (text) => this.#take(String(text)));
    this.#socket.on('error', () => {});
    this.#socket.write('{"command":"observe","follow":true,"last":0}\n');
  }

  /** Whether what happens from now on is for it. */
  get isFollowing(): boolean {
    return this.#isFollowing;
  }

  /** Reads no more. */
  stop(): void {
    this.#socket.pause();
  }

  /** Reads again. */
  goOn(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (this.#isFollowing) this.#count(line);
      else this.#isFollowing = line === '{"ok":true}';
    }
  }

  #count(line: string): void {
    const seq = Number(/"seq":(\d+)/u.exec(line)?.[1]);
    this.lost += Number(/"lost":(\d+)\}$/u.exec(line)?.[1]);
    this.events += 1;
    if (this.#isCounted(line)) this.counted += 1;
    if (this.last === 0) this.first = seq;
    else if (!(seq > this.last)) this.disordered += 1;
    else if (seq > this.last + 1) {
      this.gaps += 1;
      this.missing += seq - this.last - 1;
    }
    this.last = seq;
  }
}
