// Where the model says several classes at once: each is a question of its own, with a threshold and a row.
const BAR = 3; // segments, below the ground of a row

class Questions {
  constructor(facts, view, theme) {
    Object.assign(this, { facts, view, theme });
  }

  // Height of a row, in pixels.
  rowHeight(numPersons) {
    const place = numPersons === 1 ? 0 : numPersons <= 3 ? 1 : 2;
    return (this.facts.classes.length <= 10 ? [40, 32, 26] : [26, 23, 20])[place];
  }

  // The part of a row, or of the whole ribbon, in which a curve is drawn; below it there is room for segments.
  inner(top, height) {
    return { top: top + 3, height: height - 3 - BAR - 4 };
  }

  // What is drawn next of a piece (see Ribbon) is seen only where its curve is at the threshold of a class.
  clipToHolding(context, { xs, count, left, right, mean }, c, top, height) {
    const threshold = this.facts.thresholds[c] / 255 - 1e-6;
    context.beginPath();
    let from = mean(0, c) >= threshold ? left : null;
    const end = (x) => {
      context.rect(from, top, x - from, height);
      from = null;
    };
    for (let i = 1; i < count; i++) {
      const [before, after] = [mean(i - 1, c), mean(i, c)];
      if (before >= threshold === after >= threshold) continue;
      const x = xs[i - 1] + ((threshold - before) / (after - before)) * (xs[i] - xs[i - 1]);
      if (from === null) from = x;
      else end(x);
    }
    if (from !== null) end(right);
    context.clip();
  }

  // Grounds, thresholds and segments. areas: class -> what `inner` gave; named: whether to write names into them.
  mark(context, person, width, areas, named, lit) {
    const { theme, facts } = this;
    for (const [c, { top, height }] of areas) {
      const ground = Math.round(top + height);
      context.fillStyle = theme.edge;
      context.fillRect(0, ground, width, 1);
      const y = Math.round(top + height * (1 - facts.thresholds[c] / 255)) + 0.5;
      this.#line(context, y, width, theme.paper, 2.5, 0.5, []); // to be seen on what is filled
      this.#line(context, y, width, theme.ink, 1, 0.75, [1, 3]);
      if (named) this.#name(context, facts.classes[c], top);
    }
    this.#segments(context, person, areas, lit);
  }

  #line(context, y, width, colour, thickness, alpha, dash) {
    context.globalAlpha = alpha;
    context.strokeStyle = colour;
    context.lineWidth = thickness;
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(width, y);
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  #name(context, text, top) {
    const { theme } = this;
    context.font = `550 11px ${theme.font}`;
    context.textBaseline = "top";
    context.lineJoin = "round";
    context.lineWidth = 3;
    context.strokeStyle = theme.paper;
    context.fillStyle = theme.ink;
    context.strokeText(text, 4, top);
    context.fillText(text, 4, top);
  }

  #segments(context, person, areas, lit) {
    const { view, theme } = this;
    const { segments } = this.facts;
    for (const i of segments.ofPerson[person.place]) {
      if (segments.offset[i] < view.t0) continue;
      if (segments.onset[i] > view.t1) break;
      const c = segments.label[i];
      const area = areas.get(c);
      if (!area) continue;
      const [x0, x1] = [view.x(segments.onset[i]), view.x(segments.offset[i])];
      context.globalAlpha = lit < 0 || lit === c ? 1 : 0.2;
      context.fillStyle = theme.fill[c];
      context.fillRect(x0, Math.round(area.top + area.height) + 2, Math.max(1, x1 - x0), BAR);
    }
    context.globalAlpha = 1;
  }
}

// The classes that hold in a row, the likeliest first.
function holding({ classes, thresholds }, person, source, row) {
  const p = person.p[source];
  const at = row * classes.length;
  const found = classes.map((_, c) => c).filter((c) => p[at + c] >= thresholds[c]);
  return found.sort((a, b) => p[at + b] - p[at + a]);
}

const MAX_LISTED = 3;

// Names of classes that hold, in a few words.
function listed({ classes }, on) {
  if (!on.length) return "none holds";
  const more = on.length - MAX_LISTED;
  const names = on.slice(0, MAX_LISTED).map((c) => classes[c]);
  return names.join(" + ") + (more > 0 ? ` + ${more} more` : "");
}

// The rail of a class's bar; where it has a threshold, with a tick there.
function makeRail({ thresholds }, c) {
  const fill = make("i", `e${c}`);
  const rail = make("span", "rail", fill);
  if (thresholds) {
    const tick = make("b");
    tick.style.left = `${(100 * thresholds[c]) / 255}%`;
    rail.append(tick);
  }
  return { rail, fill };
}

// How far a bar is filled; paler where its class does not hold.
function fillRail({ thresholds }, fill, c, probability) {
  fill.style.transform = `scaleX(${probability})`;
  if (thresholds) fill.classList.toggle("off", Math.round(255 * probability) < thresholds[c]);
}
