import assert from 'node:assert/strict';
import { until } from '../lab/wait.ts';
import type { Answer, Chromium } from './chromium.ts';

/** The size of a window, in CSS pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A desktop's window. */
export const DESKTOP: Size = { width: 1440, height: 1000 };
/** A small phone. */
export const PHONE: Size = { width: 360, height: 740 };

const LIMIT_MS = 5_000;
const KEY_CODES: ReadonlyMap<string, number> = new Map([
  ['Tab', 9],
  ['Enter', 13],
  ['Escape', 27],
  ['PageDown', 34],
  ['End', 35],
  ['Home', 36],
  ['ArrowUp', 38],
  ['ArrowDown', 40],
]);

/** A tab of a browser, as somebody uses it. */
export class Tab {
  readonly #chromium: Chromium;
  readonly #session: string;
  readonly #targetId: string;
  readonly #requests: string[] = [];
  readonly #complaints: string[] = [];

  constructor(chromium: Chromium, targetId: string, session: string) {
    this.#targetId = targetId;
    this.#chromium = chromium;
    this.#session = session;
    chromium.onEvent((method, params, sessionId) => {
      if (sessionId === session) this.#take(method, params);
    });
  }

  /** URLs that it asked for so far. */
  get requests(): readonly string[] {
    return this.#requests;
  }

  /** Exceptions, and what the browser refused: by the Content-Security-Policy, say. */
  get complaints(): readonly string[] {
    return this.#complaints;
  }

  call(method: string, params: Answer = {}): Promise<Answer> {
    return this.#chromium.call(method, params, this.#session);
  }

  async open(url: string): Promise<void> {
    await this.call('Page.navigate', { url });
    await this.until('document.readyState === "complete"', `"${url}" to load`);
  }

  /** The value of an expression in the page, awaited there. */
  async eval(expression: string): Promise<unknown> {
    const answer = await this.call('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    assert.equal(answer.exceptionDetails, undefined, JSON.stringify(answer.exceptionDetails));
    const { result } = answer;
    return typeof result === 'object' && result !== null && 'value' in result ? result.value : undefined;
  }

  /** The value as a text; of an element that is not there the empty one. */
  async text(selector: string): Promise<string> {
    return String(await this.eval(`document.querySelector(${JSON.stringify(selector)})?.textContent ?? ''`));
  }

  /** The texts of all elements that a selector finds. */
  async texts(selector: string): Promise<string[]> {
    const value = await this.eval(
      `[...document.querySelectorAll(${JSON.stringify(selector)})].map((e) => e.textContent)`,
    );
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** Polls an expression until it is true. */
  async until(expression: string, what: string, limitMs = LIMIT_MS): Promise<void> {
    await until(() => this.eval(`Boolean(${expression})`), { limitMs, what });
  }

  /** Presses where an element is, as a mouse does. */
  async click(selector: string): Promise<void> {
    const at = await this.eval(`(() => {
      const e = document.querySelector(${JSON.stringify(selector)});
      e.scrollIntoView({ block: 'center' });
      const { left, top, width, height } = e.getBoundingClientRect();
      return [left + Math.min(width, 120) / 2, top + height / 2];
    })()`);
    assert.ok(Array.isArray(at), `${selector} is there`);
    const [x, y] = at;
    for (const type of ['mousePressed', 'mouseReleased'])
      await this.call('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 });
  }

  /** Presses a key: a letter, or the name of another one. */
  async press(key: string, modifiers = 0): Promise<void> {
    const code = KEY_CODES.get(key);
    const text = key === 'Enter' ? '\r' : code === undefined ? key : undefined;
    const rest = { key, modifiers, ...(code !== undefined && { windowsVirtualKeyCode: code, code: key }) };
    await this.call('Input.dispatchKeyEvent', {
      type: 'keyDown',
      ...rest,
      ...(text !== undefined && { text }),
    });
    await this.call('Input.dispatchKeyEvent', { type: 'keyUp', ...rest });
  }

  /** Writes where the cursor is. */
  async write(text: string): Promise<void> {
    await this.call('Input.insertText', { text });
  }

  /** Puts `text` into a field of the page, in the place of what was there. */
  async fill(selector: string, text: string): Promise<void> {
    await this.eval(`(() => {
      const e = document.querySelector(${JSON.stringify(selector)});
      e.value = ${JSON.stringify(text)};
      e.dispatchEvent(new Event('input', { bubbles: true }));
    })()`);
  }

  async resize({ width, height }: Size): Promise<void> {
    await this.call('Emulation.setDeviceMetricsOverride', {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: width < 500,
    });
  }

  /** What the system says: colours, and whether things may move. */
  async prefer(features: Readonly<Record<string, string>>): Promise<void> {
    const list = Object.entries(features).map(([name, value]) => ({ name, value }));
    await this.call('Emulation.setEmulatedMedia', { features: list });
  }

  /** The window as a PNG. */
  async screenshot(): Promise<Buffer> {
    const { data } = await this.call('Page.captureScreenshot', { format: 'png' });
    return Buffer.from(String(data), 'base64');
  }

  /** Closes it, and its connections: a browser has six for one server. */
  async close(): Promise<void> {
    await this.#chromium.call('Target.closeTarget', { targetId: this.#targetId });
  }

  #take(method: string, params: Answer): void {
    if (method === 'Network.requestWillBeSent') this.#requests.push(textIn(params, 'request', 'url'));
    if (method === 'Runtime.exceptionThrown') this.#complaints.push(JSON.stringify(params));
    if (method === 'Log.entryAdded') this.#complaints.push(textIn(params, 'entry', 'text'));
    if (method === 'Page.javascriptDialogOpening') this.#complaints.push('a dialog');
  }
}

function textIn(params: Answer, ...path: readonly string[]): string {
  let value: unknown = params;
  for (const name of path)
    value =
      typeof value === 'object' && value !== null ? new Map(Object.entries(value)).get(name) : undefined;
  return String(value);
}

/** Opens a tab in front of all others. It closes with its browser, if not before. */
export async function openTab(chromium: Chromium, size: Size = DESKTOP): Promise<Tab> {
  const { targetId } = await chromium.call('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await chromium.call('Target.attachToTarget', { targetId, flatten: true });
  const tab = new Tab(chromium, String(targetId), String(sessionId));
  for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await tab.call(`${domain}.enable`);
  await tab.call('Emulation.setFocusEmulationEnabled', { enabled: true });
  await tab.call('Page.bringToFront');
  await tab.resize(size);
  return tab;
}
