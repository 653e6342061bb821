// What the pages have in common: drawn again at each look, facts, tables, marks, and reports in a frame.

import { failure, h, text } from "../player/dom.js";
import { loop } from "./state.js";

/** A page whose `draw()` answers its elements; it is drawn again when what it `shows()` has changed. */
export class Page extends HTMLElement {
  connectedCallback() {
    this.host = h("div");
    this.append(this.host);
    this.onlook = () => this.refresh();
    loop.addEventListener("look", this.onlook);
    this.refresh();
  }

  disconnectedCallback() {
    loop.removeEventListener("look", this.onlook);
  }

  shows() {
    return loop.now;
  }

  refresh() {
    const said = JSON.stringify(this.shows());
    if (said === this.said) return;
    this.said = said;
    redraw(this.host, ...this.draw());
  }
}

/** A page of one subject that the server is asked for when its `stamp()` in the overview changes; `draw()` has the answer of `read()` as `this.value`. */
export class DetailPage extends Page {
  connectedCallback() {
    this.after = h("div"); // what is not drawn again, such as a frame
    super.connectedCallback();
    this.append(this.after);
  }

  shows() {
    return this.value;
  }

  async refresh() {
    const stamp = JSON.stringify([this.stamp()]);
    if (this.reading || stamp === this.stamped) return;
    this.reading = true;
    if (!this.value) redraw(this.host, h("p.quiet", { "aria-busy": "true" }, "Reading…"));
    try {
      this.value = await this.read();
      this.stamped = stamp;
      if (this.isConnected) super.refresh();
    } catch (problem) {
      if (!this.value) redraw(this.host, failure(problem, () => this.refresh()));
    }
    this.reading = false;
  }
}

/** Replace what an element shows. The focus stays at the link or button with the same key. */
export function redraw(host, ...children) {
  const focused = host.contains(document.activeElement) ? key(document.activeElement) : null;
  host.replaceChildren(...children.flat().filter(Boolean));
  if (focused) [...host.querySelectorAll("a, button, [tabindex]")].find((one) => key(one) === focused)?.focus({ preventScroll: true });
}

/** A picture as wide as its place, in an element such as `div.loop`: `drawing(width)`, in px, answers it anew when the width changes and at each `paint()`. */
export function picture(kind, drawing) {
  const host = h(kind);
  const paint = () => host.clientWidth && redraw(host, drawing(host.clientWidth));
  new ResizeObserver(paint).observe(host); // it ends with the element
  return Object.assign(host, { paint });
}

const key = (element) => element.dataset.key ?? element.getAttribute("href") ?? element.textContent;

/** The head of a page: a title, and what can be done. */
export const head = (title, ...actions) => h("div.head", {}, text("h1", title, { title: null }), actions.some(Boolean) && h("p.actions", {}, actions));

/** A section with a title. */
export const section = (title, ...children) => h("section", {}, h("h2", {}, title), ...children);

/** Facts as terms and values; those without a value are left out. */
export function facts(values) {
  const rows = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl.facts", {}, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), value instanceof Node ? h("dd", {}, value) : text("dd", String(value)))));
}

/** A table that scrolls by itself on a narrow page. A cell is a text, a number or an element. */
export function table(caption, columns, rows) {
  return h(
    "div.scroll",
    { tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption.unseen", {}, caption),
      h("thead", {}, h("tr", {}, columns.map((column, i) => h("th", { scope: "col", class: rows.some((row) => typeof row[i] === "number") ? "number" : null }, column)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cell)))),
    ),
  );
}

const figures = new Intl.NumberFormat(undefined, { minimumFractionDigits: 4, maximumFractionDigits: 4 });
const counts = new Intl.NumberFormat();

/** A count with the viewer's separators. */
export const count = (number) => counts.format(number);

/** A figure: whole, or with four decimals. */
export const figure = (number) => (Number.isInteger(number) ? counts.format(number) : figures.format(number));

function cell(value, index) {
  const kind = index ? "td" : "th";
  const scope = index ? {} : { scope: "row" };
  if (value instanceof Node) return h(kind, scope, value);
  if (typeof value === "number") return h(`${kind}.number`, scope, figure(value));
  return text(kind, String(value ?? "–"), scope);
}

const TONES = { pushed: "good", stable: "good", done: "good", stopped: "warn", incomplete: "warn", canary: "warn", failed: "bad", running: "new" };

/** A word in a mark; its colour follows the word, or the tone that is given. */
export const mark = (word, tone = TONES[word] ?? "") => h("span", { class: `mark ${tone}` }, word);

/** Seconds as a person says them. */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** A report of a library in a frame of its own, which is loaded when somebody asks for it. */
export function report(title, address) {
  const show = h("button.secondary", { type: "button" }, `Show ${title}`);
  const place = h("div.report", {}, h("p.actions", {}, show, h("a", { href: address, target: "_blank", rel: "noopener" }, "Open alone")));
  show.addEventListener("click", () => {
    show.remove();
    place.append(h("iframe", { src: address, title, sandbox: "allow-scripts" }));
  });
  return place;
}
