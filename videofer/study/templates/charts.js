/* The charts: one panel for each class with a line for each group, and bars of share of time. */
const Charts = (() => {
  const W = 300, H = 132, LEFT = 34, RIGHT = 6, TOP = 8, BOTTOM = 20;
  const DASHES = ["", "6 3", "2 3", "9 3 2 3", "12 4", "4 4", "1 4", "8 2 2 2 2 2"];
  const groupColour = (place) => `var(--g${place % MAX_GROUPS})`;
  const LEAST = 0.25; // of a group's units: moments with fewer are not drawn
  const MAX_BANDS = 4; // of more groups only the one that is pointed at has its band
  let lines = [], chosen = -1;

  function panels() {
    const groups = Study.groups().slice(0, MAX_GROUPS);
    lines = groups.map((group, place) => ({
      ...group, place, curve: Study.meanCurve(group.videos), units: Study.units(group.videos).length,
    })).map((line) => ({ ...line, least: Math.max(1, LEAST * line.units) }));
    const top = niceTop(lines);
    find("panels").replaceChildren(...Study.classes.map((one, c) => panel(one, c, top)));
    find("panels").classList.toggle("many", lines.length > MAX_BANDS);
    chosen = -1;
    light(-1);
    legend();
    notes();
  }

  /* Where the axis ends: all means fit, and nearly all of the bands; a few wide ones are cut. */
  function niceTop(all) {
    const bands = [];
    let most = 0.1;
    for (const { curve, least } of all)
      for (let i = 0; i < curve.mean.length; i++) {
        if (curve.n[Math.floor(i / Study.n)] < least) continue;
        if (curve.mean[i] > most) most = curve.mean[i];
        if (Number.isFinite(curve.half[i])) bands.push(curve.mean[i] + curve.half[i]);
      }
    bands.sort((a, b) => a - b);
    if (bands.length) most = Math.max(most, bands[Math.floor(0.98 * (bands.length - 1))]);
    return [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8].find((value) => value >= most - 1e-9) ?? 1;
  }

  function panel(one, c, top) {
    const alone = State.group < 0;
    const x = (b) => LEFT + ((b + 0.5) / Study.steps) * (W - LEFT - RIGHT);
    const y = (p) => TOP + (1 - Math.min(p, top) / top) * (H - TOP - BOTTOM);
    const drawn = lines.flatMap(({ curve, place, least }) => {
      const colour = alone ? one.colour : groupColour(place);
      const band = [], path = [];
      for (const [from, to] of runs(curve, c, least)) {
        const upper = [], lower = [], middle = [];
        for (let b = from; b < to; b++) {
          const i = b * Study.n + c, half = curve.half[i];
          middle.push(`${x(b).toFixed(1)},${y(curve.mean[i]).toFixed(1)}`);
          if (!Number.isFinite(half)) continue;
          upper.push(`${x(b).toFixed(1)},${y(curve.mean[i] + half).toFixed(1)}`);
          lower.unshift(`${x(b).toFixed(1)},${y(Math.max(0, curve.mean[i] - half)).toFixed(1)}`);
        }
        if (upper.length > 1) band.push(`M${upper.join("L")}L${lower.join("L")}Z`);
        path.push(`M${middle.join("L")}`);
      }
      return [
        svg("path", { d: band.join(""), class: "band", "data-group": place, style: { fill: colour } }),
        svg("path", {
          d: path.join(""), class: "line", "data-group": place, style: { stroke: colour },
          "stroke-dasharray": alone ? "" : DASHES[place % DASHES.length],
        }),
      ];
    });
    const ticks = [0, top / 2, top].map((p) => [
      svg("line", { x1: LEFT, x2: W - RIGHT, y1: y(p), y2: y(p), class: p ? "grid" : "axis" }),
      svg("text", { x: LEFT - 5, y: y(p) + 3.5, class: "tick end" }, Say.percent(p)),
    ]).flat();
    const ends = [0, 0.5, 1].map((share) =>
      svg("text", {
        x: LEFT + share * (W - LEFT - RIGHT), y: H - 4, class: `tick ${["", "mid", "end"][share * 2]}`,
      }, State.time === "share" ? Say.percent(share) : Say.time(share * Study.axisEnd())),
    );
    const cursor = svg("line", { y1: TOP, y2: H - BOTTOM, x1: LEFT, x2: LEFT, class: "cursor", visibility: "hidden" });
    const picture = svg("svg", {
      viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": spoken(one, c),
      onpointermove: (event) => point(event, picture), onpointerleave: unpoint,
    }, ...ticks, ...drawn, cursor, ...ends);
    return el("figure", { class: "panel" },
      el("figcaption", {}, el("i", { class: "dot", style: { "--c": one.colour } }), one.name), picture);
  }

  /* Bins in a row that have a mean of enough units. */
  function runs(curve, c, least) {
    const found = [];
    let from = -1;
    for (let b = 0; b <= Study.steps; b++) {
      const known = b < Study.steps && curve.n[b] >= least && Number.isFinite(curve.mean[b * Study.n + c]);
      if (known && from < 0) from = b;
      if (!known && from >= 0) { found.push([from, b]); from = -1; }
    }
    return found;
  }

  function spoken(one, c) {
    const said = lines.map(({ name, curve }) => {
      let best = -1;
      for (let b = 0; b < Study.steps; b++) {
        const value = curve.mean[b * Study.n + c];
        if (Number.isFinite(value) && (best < 0 || value > curve.mean[best * Study.n + c])) best = b;
      }
      return best < 0 ? `${name}: nothing known`
        : `${name}: at most ${Say.percent(curve.mean[best * Study.n + c])}, at ${timeOf(best)}`;
    });
    return `Mean probability of ${one.name} over time. ${said.join("; ")}.`;
  }

  const timeOf = (b) =>
    State.time === "share" ? `${Say.percent((b + 0.5) / Study.steps)} of the video`
      : Say.time(((b + 0.5) / Study.steps) * Study.axisEnd());

  function point(event, picture) {
    const box = picture.getBoundingClientRect();
    const u = ((event.clientX - box.left) / box.width) * W;
    const b = Math.floor(((u - LEFT) / (W - LEFT - RIGHT)) * Study.steps);
    if (b < 0 || b >= Study.steps) return unpoint();
    const x = LEFT + ((b + 0.5) / Study.steps) * (W - LEFT - RIGHT);
    for (const line of find("panels").querySelectorAll(".cursor")) {
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
      line.setAttribute("visibility", "visible");
    }
    const c = [...find("panels").children].indexOf(picture.closest("figure")), one = Study.classes[c];
    Tip.show(event.clientX, event.clientY, `${one.name}, ${timeOf(b)}`,
      lines.map(({ name, curve, place }) => {
        const mean = curve.mean[b * Study.n + c], half = curve.half[b * Study.n + c];
        const around = Number.isFinite(half) ? ` ± ${Say.percent(half)}` : "";
        return [State.group < 0 ? one.colour : groupColour(place), `${name}, ${Study.unitName(curve.n[b])}`,
          Number.isFinite(mean) ? Say.percent(mean) + around : "–"];
      }));
  }

  function unpoint() {
    Tip.hide();
    for (const line of find("panels").querySelectorAll(".cursor")) line.setAttribute("visibility", "hidden");
  }

  function legend() {
    find("legend").replaceChildren(...(State.group < 0 ? [] : lines.map(({ name, place, units }) =>
      el("li", {}, el("button", {
        type: "button", "aria-pressed": "false", title: "Show this one alone",
        onpointerenter: () => light(place), onpointerleave: () => light(chosen),
        onclick: (event) => {
          chosen = chosen === place ? -1 : place;
          for (const button of find("legend").querySelectorAll("button"))
            button.setAttribute("aria-pressed", String(button === event.currentTarget && chosen >= 0));
          light(chosen);
        },
      },
        svg("svg", { viewBox: "0 0 26 8", width: 26, height: 8, "aria-hidden": "true" },
          svg("line", { x1: 0, x2: 26, y1: 4, y2: 4, class: "line", style: { stroke: groupColour(place) },
            "stroke-dasharray": DASHES[place % DASHES.length] })),
        `${name} `, el("span", { class: "soft" }, Study.unitName(units)))))));
  }

  /* One group stands out; none with -1. */
  function light(place) {
    find("panels").classList.toggle("lit", place >= 0);
    for (const path of find("panels").querySelectorAll("[data-group]"))
      path.classList.toggle("on", Number(path.dataset.group) === place);
  }

  function notes() {
    const by = State.group < 0 ? "" : ` for each ${Data.columns[State.group].name}`;
    const who = State.persons === "main" ? "the person who is there longest" : "everyone in a video";
    find("groups-note").textContent =
      `Mean probability of each expression${by}, of ${who}. ` +
      (State.time === "share" ? "Every video is stretched to the same length." :
        "In seconds of each video; towards the end fewer and fewer are left.");
    const left = Study.groups().length - lines.length;
    find("method").textContent =
      "Bands: 95 % intervals of the mean by Student's t, over " +
      (State.unit < 0 ? "videos" : `values of ${Data.columns[State.unit].name}, whose videos are averaged first`) +
      `; cut at 0 and 100 %, none for fewer than ${Stats.MIN_UNITS}. Moments without a prediction do not count, and ` +
      "nothing is drawn where fewer than a quarter of the group are left. " +
      "Not corrected for looking at many moments and expressions: a gap between bands is a hint, no test." +
      (State.unit < 0 && Data.columns.length ? " Several videos of one participant are not independent: then make the " +
        "participant the unit." : "") +
      (lines.length > MAX_BANDS ? " Of so many groups only the one that is chosen in the list shows its band." : "") +
      (left > 0 ? ` The first ${MAX_GROUPS} groups are drawn, ${left} more are not.` : "");
  }

  /* --- share of time ---------------------------------------------------------------------- */

  function shares() {
    const all = Study.groups();
    const groups = all.slice(0, 24).map((group, place) => ({
      ...group, place, means: Study.meanShares(group.videos), units: Study.units(group.videos).length,
    }));
    find("shares-note").textContent = (Data.several ? "Several classes may hold at once. " : "") + "How long each label holds, of the time that " +
      (State.persons === "main" ? "the main person is" : "persons are") + " there; mean over " +
      (State.unit < 0 ? "videos" : `values of ${Data.columns[State.unit].name}`) +
      `, ± half a 95 % interval (none for fewer than ${Stats.MIN_UNITS}).` + (all.length > 24 ? ` The first 24 of ${all.length} groups.` : "");
    find("bars").replaceChildren(...groups.map((group) => barOf(group)));
    const head = el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "label"),
      ...groups.map(({ name, units }) => el("th", { scope: "col", class: "n" }, `${name} (${units})`))));
    const body = el("tbody", {}, ...Data.labels.map((label, i) => el("tr", {},
      el("th", { scope: "row" }, el("i", { class: i < Study.n ? "dot" : "dot state", style: { "--c": colourOf(i) } }), Say.label(label)),
      ...groups.map(({ means }) => el("td", { class: "n" }, Say.percent(means[i].mean, 1),
        Number.isFinite(means[i].half) ? el("span", { class: "soft" }, ` ± ${(100 * means[i].half).toFixed(1)}`) : null)))));
    find("sharetable").replaceChildren(head, body);
  }

  const colourOf = (i) => {
    if (i >= Study.n) return "var(--hatch)";
    return Study.classes[i].name === "neutral" ? "var(--neutral)" : Study.classes[i].colour;
  };

  function barOf({ name, means, units }) {
    const said = Data.labels.map((label, i) => `${Say.label(label)} ${Say.percent(means[i].mean)}`).join(", ");
    if (Data.several) return apart(name, means, units, said);
    const parts = means.map((one, i) => {
      if (!(one.mean > 0)) return null;
      const part = el("span", {
        class: i < Study.n ? "part" : "part state", style: { "--c": colourOf(i), "flex-grow": one.mean },
        onpointermove: (event) => Tip.show(event.clientX, event.clientY, name,
          [[colourOf(i), Say.label(Data.labels[i]), Say.percent(one.mean, 1)]]),
        onpointerleave: Tip.hide,
      });
      if (one.mean >= 0.03) {
        part.append(el("span", { class: `in ${shade(i)}` }, el("span", { class: "word" }, `${Say.label(Data.labels[i])} `), Say.percent(one.mean)));
      }
      return part;
    });
    return el("div", { class: "group" },
      el("div", { class: "who" }, name, " ", el("span", { class: "soft small said" }, Study.unitName(units))),
      el("div", { class: "stack", role: "img", "aria-label": `${name}: ${said}` }, ...parts));
  }

  /* A bar for each label by itself: shares that overlap are no parts of a whole. */
  function apart(name, means, units, said) {
    const lines = means.flatMap((one, i) => one.mean > 0 ? [
      el("span", {}, Say.label(Data.labels[i])),
      el("span", { class: "rail" }, el("i", { style: { "--c": colourOf(i), width: `${100 * one.mean}%` } })),
      el("span", { class: "n" }, Say.percent(one.mean)),
    ] : []);
    return el("div", { class: "group" },
      el("div", { class: "who" }, name, " ", el("span", { class: "soft small said" }, Study.unitName(units))),
      el("div", { class: "apart", role: "img", "aria-label": `${name}: ${said}` }, ...lines));
  }

  /* Which letters read best on a class's colour. */
  function shade(i) {
    if (i >= Study.n || Study.classes[i].name === "neutral") return "ink";
    const [r, g, b] = [1, 3, 5].map((at) => {
      const v = parseInt(Study.classes[i].colour.slice(at, at + 2), 16) / 255;
      return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.18 ? "light" : "";
  }

  /* The curves as a table, one line for each group, bin and class. */
  function csv() {
    const quote = (text) => `"${String(text).replace(/^(?=[=+\-@\t\r])/, "'").replaceAll('"', '""')}"`;
    const scale = State.time === "share" ? 1 : Study.axisEnd();
    const head = State.time === "share" ? "share_start,share_end" : "t_start,t_end";
    const out = [`group,${head},class,units,mean_probability,ci95_half`];
    for (const { name, curve } of lines)
      for (let b = 0; b < Study.steps; b++)
        for (let c = 0; c < Study.n; c++) {
          const mean = curve.mean[b * Study.n + c], half = curve.half[b * Study.n + c];
          out.push([quote(name), ((b / Study.steps) * scale).toFixed(4), (((b + 1) / Study.steps) * scale).toFixed(4),
            quote(Study.classes[c].name), curve.n[b], Number.isFinite(mean) ? mean.toFixed(5) : "",
            Number.isFinite(half) ? half.toFixed(5) : ""].join(","));
        }
    return out.join("\n") + "\n";
  }

  return { panels, shares, csv, colourOf };
})();
