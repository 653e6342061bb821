// Traffic: pages by how whole they were, latency by endpoint and stage, and what waits.

import { h, notice } from "../player/dom.js";
import { percent } from "../player/words.js";
import { bars, spark } from "./chart.js";
import { Page, count, facts, head, section, table } from "./page.js";
import { loop, rates } from "./state.js";

const LEVELS = { 0: "whole", 1: "without ranking", 2: "last page again", 3: "popular items" };
const ENDS = ["ok", "off", "late", "failed"];
const ms = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;

export class TrafficPage extends Page {
  shows() {
    return [loop.now.gateway, loop.traffic.length];
  }

  draw() {
    const { gateway } = loop.now;
    if (!gateway) return [head("Traffic"), notice("No gateway runs", "A home needs pushed models before its gateway can answer. Run a training, then segue up again.")];
    const versions = Object.entries(gateway.models).map(([model, version]) => `${model} ${version}`).join(", ");
    return [
      head("Traffic"),
      h("p.reason", {}, "Since the gateway started. /metrics has the same figures for Prometheus."),
      facts({
        Pages: count(gateway.pages),
        "By a fallback": gateway.pages ? percent(gateway.fallbacks) : "",
        "Models in use": versions || "none",
        "Journal: records that wait": count(gateway.journal_backlog),
        "Online store: interactions that wait": count(gateway.online_backlog),
        "No answer": gateway.down.join(", ") || "none",
      }),
      section("Pages a second", spark(rates(), "Pages decided a second since this page was opened")),
      gateway.pages > 0 && section("Pages by how whole they were", levels(gateway.levels)),
      gateway.endpoints.length > 0 && section("Latency by endpoint", latencies("Latency by endpoint", "endpoint", gateway.endpoints)),
      ...stages(gateway.stages),
    ];
  }
}

function levels(levels) {
  const rows = Object.entries(levels).map(([surface, counts]) => [surface, ...Object.keys(LEVELS).map((level) => counts[level] ?? 0)]);
  return table("Pages by how whole they were", ["surface", ...Object.values(LEVELS)], rows);
}

function latencies(title, first, values) {
  return table(title, [first, "requests", "half within", "95 % within"], values.map((one) => [one[first], one.count, ms(one.p50_ms), ms(one.p95_ms)]));
}

/** For each surface the stages, the slowest first: bars of the time within which 95 % end, and how they ended. */
function stages(stages) {
  const surfaces = [...new Set(stages.map(({ surface }) => surface))];
  return surfaces.map((surface) => {
    const own = stages.filter((one) => one.surface === surface).sort((a, b) => b.p95_ms - a.p95_ms);
    const shown = own.map(({ stage, p50_ms, p95_ms, outcomes }) => {
      const bad = (outcomes.late ?? 0) + (outcomes.failed ?? 0);
      return { name: stage, value: p95_ms, said: `${ms(p50_ms)} · ${ms(p95_ms)}`, tone: bad ? "warn" : "" };
    });
    const ends = own.map(({ stage, outcomes }) => [stage, ...ENDS.map((end) => outcomes[end] ?? 0)]);
    return section(
      `Stages of ${surface}: half · 95 % within`,
      shown.some(({ tone }) => tone) && h("p.reason", {}, "Where a bar has the colour of a warning, the stage was late or failed at times."),
      bars(shown),
      h("details", {}, h("summary", {}, "How they ended"), table(`How the stages of ${surface} ended`, ["stage", ...ENDS], ends)),
    );
  });
}
