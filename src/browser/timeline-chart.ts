import type { Event } from '../flow/event.ts';
import type { Verdict } from '../flow/reason.ts';
import { type Bucket, sumByTime, sumOf } from '../view/timeline.ts';
import { byId, makeSvg, setAttributes, setText } from './element.ts';

const SPANS = 120;
const WIDTH = 1200;
const HEIGHT = 100;
/** Of the baseline: what passed stands on it, what was refused hangs from it, so that no colour is needed. */
const BASE = 62;
const BAR = WIDTH / SPANS;
const GAP = 2;
/** What is drawn for few attempts beside many is still seen. */
const LEAST = 2;
const VERDICTS: readonly Verdict[] = ['allow', 'deny', 'would_deny'];

/** Bars of verdicts over the last minutes or hours. */
export class TimelineChart {
  readonly #caption = byId('timeline-caption', HTMLElement);
  readonly #svg = byId('timeline-chart', SVGSVGElement);
  readonly #width = byId('timeline-width', HTMLButtonElement);
  readonly #onPick: (fromMs: number) => void;
  readonly #bars: Record<Verdict, SVGRectElement>[] = [];
  #buckets: Bucket[] = [];
  #widthMs = 1_000;
  #pointed: number | undefined;

  /** @param onPick is told from when on events are wanted @param onWidth is told that it has to be drawn again */
  constructor(onPick: (fromMs: number) => void, onWidth: () => void) {
    this.#onPick = onPick;
    setAttributes(this.#svg, { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none' });
    for (let index = 0; index < SPANS; index += 1) this.#bars.push(this.#addBars(index));
    this.#svg.append(makeSvg('line', { class: 'base', x1: 0, x2: WIDTH, y1: BASE, y2: BASE }));
    this.#width.addEventListener('click', () => {
      this.#widthMs = this.#widthMs === 1_000 ? 60_000 : 1_000;
      setText(this.#width, this.#widthMs === 1_000 ? 'Last 2 minutes' : 'Last 2 hours');
      onWidth();
    });
    this.#svg.addEventListener('pointermove', (event) => this.#point(this.#indexAt(event)));
    this.#svg.addEventListener('pointerleave', () => this.#point(undefined));
    this.#svg.addEventListener('click', (event) => {
      const bucket = this.#buckets[this.#indexAt(event)];
      if (bucket) this.#onPick(bucket.startMs);
    });
  }

  /** Draws what happened up to `nowMs`. */
  draw(events: Iterable<Event>, nowMs: number): void {
    this.#buckets = sumByTime(events, { endMs: nowMs, widthMs: this.#widthMs, count: SPANS });
    const most = (value: (bucket: Bucket) => number) => Math.max(1, ...this.#buckets.map(value));
    const up = (BASE - 4) / most(({ allow }) => allow);
    const down = (HEIGHT - BASE - 4) / most(({ deny, would_deny }) => deny + would_deny);
    this.#buckets.forEach((bucket, index) => {
      const bars = this.#bars[index];
      if (!bars) return;
      const allow = lengthOf(bucket.allow, up);
      const deny = lengthOf(bucket.deny, down);
      setAttributes(bars.allow, { y: BASE - 1 - allow, height: allow });
      setAttributes(bars.deny, { y: BASE + 1, height: deny });
      setAttributes(bars.would_deny, { y: BASE + 1 + deny, height: lengthOf(bucket.would_deny, down) });
    });
    this.#say();
  }

  #addBars(index: number): Record<Verdict, SVGRectElement> {
    const bar = (verdict: Verdict) => {
      const x = index * BAR + GAP / 2;
      const rect = makeSvg('rect', { class: `bar ${verdict}`, x, width: BAR - GAP, y: BASE, height: 0 });
      this.#svg.append(rect);
      return rect;
    };
    return { allow: bar('allow'), deny: bar('deny'), would_deny: bar('would_deny') };
  }

  #indexAt({ clientX }: PointerEvent | MouseEvent): number {
    const { left, width } = this.#svg.getBoundingClientRect();
    return Math.floor(((clientX - left) / width) * SPANS);
  }

  #point(index: number | undefined): void {
    this.#pointed = index;
    this.#say();
  }

  #say(): void {
    const all = sumOf(this.#buckets);
    const pointed = this.#pointed === undefined ? undefined : this.#buckets[this.#pointed];
    const title = pointed ? new Date(pointed.startMs).toLocaleTimeString() : this.#width.textContent;
    const sums = pointed ?? all;
    const words = VERDICTS.map((verdict) => `${sums[verdict].toLocaleString()} ${WORDS[verdict]}`);
    setText(this.#caption, `${title}: ${words.join(' · ')}`);
    setAttributes(this.#svg, {
      'aria-label': `${this.#width.textContent}: ${VERDICTS.map((verdict) => `${all[verdict]} ${WORDS[verdict]}`).join(', ')}`,
    });
  }
}

const WORDS: Readonly<Record<Verdict, string>> = {
  allow: 'allowed',
  deny: 'denied',
  would_deny: 'would be denied',
};

function lengthOf(attempts: number, scale: number): number {
  return attempts === 0 ? 0 : Math.max(LEAST, attempts * scale);
}
