// Experiments: the list, and the newest scorecard of one.

import { h, notice, text } from "../player/dom.js";
import { day, percent } from "../player/words.js";
import { Page, facts, head, mark, report } from "./page.js";
import { loop } from "./state.js";

export class ExperimentsPage extends Page {
  shows() {
    return loop.now.experiments;
  }

  draw() {
    const { experiments } = loop.now;
    if (!experiments.length) return [head("Experiments"), notice("No experiment was started", "segue experiment plan and segue experiment start do so.")];
    const rows = experiments.map(({ name, decision, verdict, started, share }) =>
      h("li", {}, h("a.entry", { href: `#experiment/${encodeURIComponent(name)}` }, h("span", {}, text("strong", name), h("span.quiet", {}, verdict ? `last verdict: ${verdict}` : "no look yet")), mark(decision ? `ended: ${decision}` : "running", decision ? "" : "new"), h("span.quiet", {}, `${percent(share)} of listeners since ${day(started)}`))),
    );
    return [head("Experiments"), h("ul.entries", {}, rows)];
  }
}

export class ScorecardPage extends Page {
  shows() {
    return loop.now.experiments.find(({ name }) => name === this.subject) ?? null;
  }

  draw() {
    const one = this.shows();
    if (!one) return [head(this.subject), notice("There is no such experiment", "It may have been started in another home.")];
    const { layer, share, started, looks, verdict, reason, decision } = one;
    return [
      head(this.subject),
      facts({ Status: mark(decision ? `ended: ${decision}` : "running", decision ? "" : "new"), Layer: layer, "Share of listeners": percent(share), Started: day(started), Looks: looks, Verdict: verdict, Reason: reason }),
      looks > 0 ? report("the scorecard", `experiments/${encodeURIComponent(this.subject)}`) : h("p.quiet", {}, "Nobody has looked at it yet. A look spends alpha, so none is taken here: segue experiment report."),
    ];
  }
}
