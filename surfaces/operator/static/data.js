// Data: the imported log, what was left out of it, and how its columns were read.

import { h, notice, text } from "../player/dom.js";
import { moment } from "../player/words.js";
import { Page, count, facts, head, section, table } from "./page.js";
import { loop } from "./state.js";

export class DataPage extends Page {
  shows() {
    return loop.now.data;
  }

  draw() {
    const { data } = loop.now;
    if (!data) return [head("Data"), notice("Nothing is imported yet", "segue data import reads a log of your own, a public one, or makes a synthetic one.")];
    const { dataset, licence, sha256, counts, span, actions = {}, quarantine_reasons: reasons = {}, mapping = [] } = data;
    return [
      head("Data"),
      facts({ "Data set": dataset, Licence: licence, From: moment(span.first), To: moment(span.last), "SHA-256": sha256 }),
      section("Rows", facts(Object.fromEntries(Object.entries({ ...counts, ...actions }).map(([name, rows]) => [name, count(rows)])))),
      Object.keys(reasons).length > 0 && section("Left out", table("Rows that were left out", ["why", "rows"], Object.entries(reasons))),
      mapping.length > 0 && section("How it was read", h("ul.plain", {}, mapping.map((line) => text("li", line)))),
    ];
  }
}
