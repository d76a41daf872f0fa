// Draws one person's lane: the ribbon of probabilities with states as hatching; faces and segments are of strips.js.
const GAP = 6;
const ROW_PIXELS = 1.6; // from here on rows are drawn one by one
const COLUMN_PIXELS = 3; // below that, means over so many pixels

class Ribbon {
  constructor(facts, view, theme, hatching) {
    Object.assign(this, { facts, view, theme, hatching });
    this.source = "answer";
    this.questions = facts.thresholds ? new Questions(facts, view, theme) : null;
    this.mode = this.questions ? "rows" : "stacked";
    this.namesInside = matchMedia("(max-width: 900px)"); // there is no place for them beside the rows
    this.solo = -1; // the one class that is shown
    this.lit = -1; // the class under the pointer, in the legend
    this.pyramids = new Map();
    const { neutral } = facts;
    const others = facts.classes.map((_, c) => c).filter((c) => c !== neutral);
    this.order = neutral >= 0 ? [...others, neutral] : others; // from the ground up; neutral is the sky
    this.uncertain = facts.labels.indexOf("uncertain", facts.classes.length);
    this.strips = new Strips(facts, view, theme);
  }

  pyramid(person, source = this.source) {
    const name = `${person.place} ${source}`;
    if (!this.pyramids.has(name)) this.pyramids.set(name, new Pyramid(person, source, this.facts.duration, this.facts.hop));
    return this.pyramids.get(name);
  }

  // The pyramids that a click may ask for, one by one while nothing else is to be done.
  buildAhead() {
    const later = globalThis.requestIdleCallback ?? ((work) => setTimeout(work, 50));
    const wanted = this.facts.sources.flatMap((source) => this.facts.persons.map((person) => [person, source]));
    const work = () => {
      const next = wanted.pop();
      if (!next) return;
      this.pyramid(...next);
      later(work);
    };
    later(work);
  }

  // Heights of the parts of a lane, in pixels.
  layout(person, width) {
    const many = this.facts.persons.length;
    const narrow = width < 560;
    const face = person.faces ? (narrow ? 30 : many > 3 ? 34 : 44) : 0;
    const stacked = many === 1 ? 150 : many <= 3 ? 104 : 72;
    const rowHeight = this.questions?.rowHeight(many) ?? (many === 1 ? 26 : many <= 3 ? 22 : 18);
    const ribbon = this.mode === "stacked" || this.solo >= 0 ? stacked : rowHeight * this.facts.classes.length;
    const ribbonTop = face ? face + GAP : 0;
    const stripTop = ribbonTop + ribbon + 4;
    const strip = this.questions ? 0 : STRIP; // theirs are in their rows
    const truthTop = stripTop + strip + 3;
    const height = person.truth.length ? truthTop + TRUTH : stripTop + strip;
    return { face, ribbonTop, ribbon, stripTop, truthTop, height };
  }

  draw(context, person, width, lay = this.layout(person, width)) {
    const { view } = this;
    context.save();
    context.beginPath();
    context.rect(0, 0, width, lay.height); // on paper a canvas is no bitmap: nothing else would end at its edge
    context.clip();
    this.#ground(context, person, width, lay);
    if (person.numRows) {
      const rows = this.facts.hop / view.secondsPerPixel >= ROW_PIXELS;
      const pieces = rows ? this.#fromRows(person) : this.#fromPyramid(person, width);
      context.save();
      context.beginPath();
      context.rect(0, lay.ribbonTop, width, lay.ribbon);
      context.clip();
      for (const piece of pieces) {
        if (this.questions) this.#eachQuestion(context, piece, lay);
        else if (this.solo >= 0) this.#area(context, piece, this.solo, lay.ribbonTop, lay.ribbon);
        else if (this.mode === "stacked") this.#stack(context, piece, lay, rows);
        else this.#eachRow(context, piece, lay);
      }
      this.#states(context, person, lay);
      context.restore();
      const named = lay.isPaper || this.namesInside.matches;
      this.questions?.mark(context, person, width, this.#areas(lay), named && this.solo < 0, this.lit);
    }
    this.strips.draw(context, person, width, lay, this);
    context.restore();
  }

  // The ground on which ribbons stand, where the person is there; nobody and nothing decoded are patterns.
  #ground(context, person, width, { ribbonTop, ribbon }) {
    const { view, theme } = this;
    for (const [start, end, state] of this.facts.nobody) {
      const [x0, x1] = [Math.max(0, view.x(start)), Math.min(width, view.x(end))];
      if (x1 > x0) this.hatching.fill(context, state, x0, ribbonTop, Math.max(1, x1 - x0), ribbon);
    }
    if (this.questions) return;
    context.fillStyle = theme.edge;
    context.fillRect(0, ribbonTop + ribbon - 0.5, width, 1);
    if (this.mode === "rows" && this.solo < 0) {
      const step = ribbon / this.order.length;
      context.fillStyle = theme.line;
      for (let i = 1; i < this.order.length; i++) context.fillRect(0, Math.round(ribbonTop + i * step) - 0.5, width, 1);
    }
  }

  // Pieces { xs, mean(i, c), high(i, c) | null, count }: stretches without a gap.
  #fromPyramid(person, width) {
    const { view } = this;
    const step = view.secondsPerPixel * COLUMN_PIXELS;
    const first = Math.floor(view.t0 / step);
    const columns = Math.ceil(width / COLUMN_PIXELS) + 2;
    const { mean, high, covered } = this.pyramid(person).columns(first * step, step, columns);
    const n = person.numClasses;
    const pieces = [];
    for (let x = 0; x < columns; x++) {
      if (!covered[x]) continue;
      const begin = x;
      while (x < columns && covered[x]) x++;
      const count = x - begin;
      const xs = new Float32Array(count);
      for (let i = 0; i < count; i++) xs[i] = view.x((first + begin + i + 0.5) * step);
      const half = COLUMN_PIXELS / 2;
      pieces.push({ xs, count, left: xs[0] - half, right: xs[count - 1] + half, mean: (i, c) => mean[(begin + i) * n + c], high: (i, c) => high[(begin + i) * n + c] });
    }
    return pieces;
  }

  #fromRows(person) {
    const { view, source } = this;
    const first = Math.max(0, placeOf(person.t0, view.t0) - 1);
    const last = Math.min(person.numRows - 1, placeOf(person.t0, view.t1) + 1);
    const pieces = [];
    for (let row = first; row <= last; row++) {
      if (!person.isPredicted(source, row)) continue;
      const begin = row;
      while (row < last && person.isPredicted(source, row + 1) && person.t0[row + 1] - person.t1[row] < 1e-6) row++;
      const count = row - begin + 1;
      const xs = new Float32Array(count);
      for (let i = 0; i < count; i++) xs[i] = view.x((person.t0[begin + i] + person.t1[begin + i]) / 2);
      pieces.push({ xs, count, left: view.x(person.t0[begin]), right: view.x(person.t1[row]), mean: (i, c) => person.probability(source, begin + i, c), high: null });
    }
    return pieces;
  }

  // The upper edge of an area, from left to right, level at both ends: a cubic through the middles of rows that
  // never goes beyond them (Fritsch and Carlson 1980, slopes as harmonic means).
  #edge(context, { xs, count, left, right }, y) {
    context.moveTo(left, y(0));
    context.lineTo(xs[0], y(0));
    let slope = 0;
    for (let i = 1; i < count; i++) {
      const width = xs[i] - xs[i - 1];
      const now = (y(i) - y(i - 1)) / width;
      const next = i + 1 < count ? (y(i + 1) - y(i)) / (xs[i + 1] - xs[i]) : 0;
      const after = now * next > 0 ? (2 * now * next) / (now + next) : 0;
      context.bezierCurveTo(xs[i - 1] + width / 3, y(i - 1) + (slope * width) / 3, xs[i] - width / 3, y(i) - (after * width) / 3, xs[i], y(i));
      slope = after;
    }
    context.lineTo(right, y(count - 1));
  }

  #fillUnder(context, piece, y, ground) {
    context.beginPath();
    this.#edge(context, piece, y);
    context.lineTo(piece.right, ground);
    context.lineTo(piece.left, ground);
    context.fill();
  }

  // All classes on top of one another: the highest is filled first and down to the ground, the next over it.
  #stack(context, piece, { ribbonTop, ribbon }, isNear) {
    const { theme, order } = this;
    const n = order.length;
    const ground = ribbonTop + ribbon;
    const tops = new Float32Array(piece.count * n);
    for (let i = 0; i < piece.count; i++) {
      let sum = 0;
      for (let k = 0; k < n; k++) tops[i * n + k] = sum += piece.mean(i, order[k]);
    }
    for (let k = n - 1; k >= 0; k--) {
      const c = order[k];
      context.globalAlpha = this.lit < 0 || this.lit === c ? 1 : 0.16;
      if (context.globalAlpha < 1) {
        context.save();
        context.globalAlpha = 1;
        context.fillStyle = theme.paper;
        this.#fillUnder(context, piece, (i) => ground - ribbon * tops[i * n + k], ground);
        context.restore();
      }
      context.fillStyle = theme.fill[c];
      this.#fillUnder(context, piece, (i) => ground - ribbon * tops[i * n + k], ground);
      context.globalAlpha = 1;
      if (k === n - 1 || !isNear) continue; // from afar lines would hide what they part
      context.strokeStyle = theme.paper;
      context.lineWidth = 0.75;
      context.beginPath();
      this.#edge(context, piece, (i) => ground - ribbon * tops[i * n + k]);
      context.stroke();
    }
  }

  #eachRow(context, piece, { ribbonTop, ribbon }) {
    const height = ribbon / this.facts.classes.length;
    for (let c = 0; c < this.facts.classes.length; c++) {
      context.globalAlpha = this.lit < 0 || this.lit === c ? 1 : 0.16;
      this.#area(context, piece, c, ribbonTop + c * height + 2, height - 2);
      context.globalAlpha = 1;
    }
  }

  // Where the curves of classes that hold or not by themselves are drawn: class -> { top, height }.
  #areas({ ribbonTop, ribbon }) {
    if (this.solo >= 0) return new Map([[this.solo, this.questions.inner(ribbonTop, ribbon)]]);
    const step = ribbon / this.facts.classes.length;
    return new Map(this.facts.classes.map((_, c) => [c, this.questions.inner(ribbonTop + c * step, step)]));
  }

  // Pale all along, full where the class holds.
  #eachQuestion(context, piece, lay) {
    for (const [c, { top, height }] of this.#areas(lay)) {
      const alpha = this.lit < 0 || this.lit === c ? 1 : 0.16;
      context.globalAlpha = 0.28 * alpha;
      this.#area(context, piece, c, top, height);
      context.globalAlpha = alpha;
      context.save();
      this.questions.clipToHolding(context, piece, c, top, height);
      this.#fillUnder(context, piece, (i) => top + height * (1 - piece.mean(i, c)), top + height);
      context.restore();
      context.strokeStyle = this.theme.fill[c];
      context.lineWidth = 1;
      context.beginPath();
      this.#edge(context, piece, (i) => top + height * (1 - piece.mean(i, c)));
      context.stroke();
      context.globalAlpha = 1;
    }
  }

  // One class: its mean as an area, the most of what a pixel holds as a paler one above it.
  #area(context, piece, c, top, height) {
    const ground = top + height;
    context.fillStyle = this.theme.fill[c];
    if (piece.high) {
      const alpha = context.globalAlpha;
      context.globalAlpha = alpha * 0.3;
      this.#fillUnder(context, piece, (i) => ground - height * piece.high(i, c), ground);
      context.globalAlpha = alpha;
    }
    this.#fillUnder(context, piece, (i) => ground - height * piece.mean(i, c), ground);
  }

  #states(context, person, { ribbonTop, ribbon }) {
    const { view } = this;
    let drawnTo = -1;
    for (let i = Math.max(0, placeOf(person.runStarts, view.t0)); i < person.runs.length; i++) {
      const [start, end, state] = person.runs[i];
      if (start > view.t1) break;
      const [x0, x1] = [Math.max(view.x(start), drawnTo), view.x(end)];
      if (x1 - x0 < 0.3) continue;
      this.hatching.fill(context, this.facts.states[state], x0, ribbonTop, x1 - x0, ribbon);
      drawnTo = x1;
    }
  }
}
