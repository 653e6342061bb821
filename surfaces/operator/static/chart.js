// Charts as SVG. Each has a table beside it for those who do not see it.

import { h, svg, text } from "../player/dom.js";

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [420, 170, 52, 14, 12, 26];

/** A line through points `{label, value, tone, note}`; `format` says a value, and `limit` is drawn across. */
export function line({ title, points, limit = null, format = String }) {
  const values = [...points.map(({ value }) => value), ...(limit === null ? [] : [limit])];
  const spread = Math.max(...values) - Math.min(...values) || Math.abs(values[0]) || 1;
  const [low, high] = [Math.min(...values) - 0.1 * spread, Math.max(...values) + 0.1 * spread];
  const floor = Math.min(...values) >= 0 ? Math.max(0, low) : low;
  const x = (i) => (points.length === 1 ? (LEFT + WIDTH - RIGHT) / 2 : LEFT + (i * (WIDTH - LEFT - RIGHT)) / (points.length - 1));
  const y = (value) => TOP + ((high - value) / (high - floor)) * (HEIGHT - TOP - BOTTOM);
  const named = points.length <= 5 ? points.map((_, i) => i) : [0, points.length - 1];
  const anchor = (i) => (points.length === 1 || (i && i < points.length - 1) ? "middle" : i ? "end" : "start");
  return h(
    "figure.chart",
    {},
    svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" },
      [floor, high].map((value) => svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, format(value))),
      [floor, high].map((value) => svg("path.grid", { d: `M${LEFT} ${y(value)}H${WIDTH - RIGHT}` })),
      limit !== null && svg("path.limit", { d: `M${LEFT} ${y(limit)}H${WIDTH - RIGHT}` }),
      limit !== null && svg("text.limit-text", { x: WIDTH - RIGHT, y: y(limit) - 5, "text-anchor": "end" }, `limit ${format(limit)}`),
      svg("path.curve", { d: points.map(({ value }, i) => `${i ? "L" : "M"}${x(i)} ${y(value)}`).join("") }),
      points.map(({ label, value, tone = "", note }, i) => svg("circle", { class: tone, cx: x(i), cy: y(value), r: 4.5 }, svg("title", {}, note ?? `${label}: ${format(value)}`))),
      named.map((i) => svg("text", { x: x(i), y: HEIGHT - 6, "text-anchor": anchor(i) }, points[i].label)),
    ),
    h(
      "table.unseen",
      {},
      h("caption", {}, title),
      h("tbody", {}, points.map(({ label, value }) => h("tr", {}, h("th", { scope: "row" }, label), h("td", {}, format(value))))),
    ),
  );
}

/** A small curve of values that are not negative, with the last and the largest of them in words. */
export function spark(values, title) {
  if (values.length < 2 || !values.some(Boolean)) return h("p.quiet", {}, "Nobody has asked for a page since this one was opened.");
  const most = Math.max(...values, 0.1);
  const x = (i) => (i * WIDTH) / (values.length - 1);
  const y = (value) => 4 + (1 - value / most) * 92;
  const curve = values.map((value, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  return h(
    "figure.chart",
    {},
    svg("svg", { viewBox: `0 0 ${WIDTH} 100`, preserveAspectRatio: "none", role: "img", "aria-label": title }, svg("path.area", { d: `${curve}L${WIDTH} 100L0 100z` }), svg("path.curve", { d: curve })),
    h("figcaption", {}, `${values.at(-1).toFixed(1)} now, at most ${Math.max(...values).toFixed(1)}`),
  );
}

/** Bars of values `{name, value, said, tone}` beside a common largest value. */
export function bars(values, most = Math.max(...values.map(({ value }) => value))) {
  return h(
    "dl.scores",
    {},
    values.map(({ name, value, said, tone = "" }) => {
      const full = h("span", { class: tone });
      full.style.width = `${Math.min(100, (100 * value) / (most || 1))}%`;
      return [text("dt", name), h("dd", {}, h("span.level", { "aria-hidden": "true" }, full), h("span.figure", {}, said))];
    }),
  );
}
