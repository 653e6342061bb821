// Cover art that is drawn from an item's id: the same item has the same cover everywhere.

import { svg } from "./dom.js";

/** Numbers from 0 to 1 that a text seeds: FNV-1a, then mulberry32. */
export function numbers(seed) {
  let state = 2166136261;
  for (const byte of new TextEncoder().encode(seed)) state = Math.imul(state ^ byte, 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const SIZE = 96;
const PATTERNS = { music: tiles, podcast: rings, audiobook: spines };

class Cover extends HTMLElement {
  connectedCallback() {
    const next = numbers(this.getAttribute("item"));
    const hue = next() * 360;
    const turn = 35 + next() * 90;
    const colours = [
      `oklch(0.42 0.13 ${hue})`,
      `oklch(0.66 0.16 ${hue + turn})`,
      `oklch(0.82 0.11 ${hue - turn / 2})`,
      `oklch(0.93 0.05 ${hue + turn / 3})`,
    ];
    const pick = () => colours[1 + Math.floor(next() * 3)];
    const draw = PATTERNS[this.getAttribute("type")] ?? bands;
    const ground = svg("rect", { width: SIZE, height: SIZE, fill: colours[0] });
    const box = { viewBox: `0 0 ${SIZE} ${SIZE}`, "aria-hidden": "true", preserveAspectRatio: "xMidYMid slice" };
    this.replaceChildren(svg("svg", box, ground, draw(next, pick)));
  }
}

/** Quarter circles and half squares on a grid. */
function tiles(next, pick) {
  const count = next() < 0.35 ? 2 : 3;
  const side = SIZE / count;
  const corners = [[0, 0, 1], [side, 0, 1], [side, side, 1], [0, side, 1]];
  const shapes = [];
  for (let x = 0; x < SIZE; x += side) {
    for (let y = 0; y < SIZE; y += side) {
      const kind = next();
      const [cx, cy] = corners[Math.floor(next() * 4)];
      const fill = pick();
      if (kind < 0.55) shapes.push(quarter(x, y, side, cx, cy, fill));
      else if (kind < 0.75) shapes.push(svg("circle", { cx: x + side / 2, cy: y + side / 2, r: side * 0.3, fill }));
      else if (kind < 0.9) shapes.push(svg("path", { d: `M${x} ${y}h${side}L${x} ${y + side}z`, fill }));
    }
  }
  return shapes;
}

function quarter(x, y, side, cx, cy, fill) {
  const [fromX, fromY, toX, toY] = [x + cx, y + (side - cy), x + (side - cx), y + cy];
  const sweep = (cx === 0) === (cy === 0) ? 0 : 1;
  return svg("path", { d: `M${x + cx} ${y + cy}L${fromX} ${fromY}A${side} ${side} 0 0 ${sweep} ${toX} ${toY}z`, fill });
}

/** Rings around a point, as of a voice. */
function rings(next, pick) {
  const [cx, cy] = [20 + next() * 56, 20 + next() * 56];
  const shapes = [];
  for (let r = 84; r > 8; r -= 9 + next() * 7) {
    shapes.push(svg("circle", { cx, cy, r, fill: "none", stroke: pick(), "stroke-width": 2 + next() * 6 }));
  }
  return [...shapes, svg("circle", { cx, cy, r: 7, fill: pick() })];
}

/** The backs of books. */
function spines(next, pick) {
  const shapes = [];
  for (let x = 6; x < SIZE - 8; ) {
    const width = 7 + next() * 12;
    const height = 40 + next() * 44;
    shapes.push(svg("rect", { x, y: SIZE - height, width, height, rx: 1.5, fill: pick() }));
    x += width + 2;
  }
  return shapes;
}

/** Slanted bands, for every other type. */
function bands(next, pick) {
  const shapes = [];
  for (let y = -40; y < SIZE; y += 14 + next() * 14) {
    shapes.push(svg("path", { d: `M0 ${y + 40}L${SIZE} ${y}v${6 + next() * 12}L0 ${y + 52}z`, fill: pick() }));
  }
  return shapes;
}

customElements.define("segue-cover", Cover);
