// Draws the narrow strips of a lane: faces above the ribbon, segments below it, and the truth if it is known.
const STRIP = 20;
const TRUTH = 13;

class Strips {
  #textWidths = new Map();

  constructor(facts, view, theme) {
    Object.assign(this, { facts, view, theme });
    theme.on("change", () => this.#textWidths.clear());
  }

  // lay: heights, see Ribbon.layout; solo and lit: the one class that is shown, and that which stands out, or -1.
  draw(context, person, width, lay, { solo, lit }) {
    if (lay.face) this.#faces(context, person, lay.face);
    if (!this.facts.thresholds) {
      this.#uncertain(context, person, lay);
      this.#segments(context, person, width, lay, solo, lit);
    }
    if (person.truth.length) this.#truth(context, person, lay);
  }

  #faces(context, person, side) {
    const { view } = this;
    const { times } = person.faces;
    const seconds = side * view.secondsPerPixel;
    let shown = -1;
    for (let tile = Math.floor(view.t0 / seconds); tile * seconds < view.t1; tile++) {
      const place = person.faceNear((tile + 0.5) * seconds);
      const t = times[place];
      if (place === shown || t < tile * seconds || t >= (tile + 1) * seconds) continue;
      shown = place;
      const x = view.x(tile * seconds);
      context.save();
      context.beginPath();
      context.roundRect(x + 1, 0, side - 2, side, 5);
      context.clip();
      paintFace(context, person, place, x, 0, side);
      context.restore();
    }
  }

  #measure(context, text) {
    const key = `${context.font} ${text}`;
    if (!this.#textWidths.has(key)) this.#textWidths.set(key, context.measureText(text).width);
    return this.#textWidths.get(key);
  }

  // Time in which nothing was sure enough for a label.
  #uncertain(context, person, { stripTop }) {
    const { view, theme } = this;
    context.strokeStyle = theme.soft;
    context.lineWidth = 1;
    context.setLineDash([2, 3]);
    context.beginPath();
    for (const [start, end] of person.uncertainRuns) {
      if (end < view.t0) continue;
      if (start > view.t1) break;
      context.moveTo(view.x(start), stripTop + STRIP / 2);
      context.lineTo(view.x(end), stripTop + STRIP / 2);
    }
    context.stroke();
    context.setLineDash([]);
  }

  #segments(context, person, width, { stripTop }, solo, lit) {
    const { view, theme, facts } = this;
    const { segments } = facts;
    context.font = `550 11.5px ${theme.font}`;
    context.textBaseline = "middle";
    for (const i of segments.ofPerson[person.place]) {
      if (segments.offset[i] < view.t0) continue;
      if (segments.onset[i] > view.t1) break;
      const c = segments.label[i];
      if (solo >= 0 && c !== solo) continue;
      const [x0, x1] = [view.x(segments.onset[i]), view.x(segments.offset[i])];
      context.globalAlpha = lit < 0 || lit === c ? 1 : 0.2;
      context.fillStyle = theme.fill[c];
      if (x1 - x0 < 4) {
        context.fillRect(x0, stripTop, Math.max(1, x1 - x0), STRIP);
        continue;
      }
      const inset = 0.75;
      context.beginPath();
      context.roundRect(x0 + inset, stripTop, Math.max(1, x1 - x0 - 2 * inset), STRIP, Math.min(5, (x1 - x0) / 3));
      context.fill();
      this.#caption(context, facts.classes[c], Math.max(0, x0), Math.min(width, x1), stripTop + STRIP / 2, theme.on_fill[c]);
    }
    context.globalAlpha = 1;
  }

  #caption(context, text, x0, x1, y, ink) {
    if (x1 - x0 < 20 || x1 - x0 < this.#measure(context, text) + 12) return;
    context.fillStyle = ink;
    context.fillText(text, x0 + 7, y + 0.5);
  }

  #truth(context, person, { truthTop }) {
    const { view, theme } = this;
    context.font = `550 10px ${theme.font}`;
    for (const [start, end, c, label] of person.truth) {
      if (end < view.t0 || start > view.t1) continue;
      const [x0, x1] = [view.x(start), view.x(end)];
      context.fillStyle = c >= 0 ? theme.fill[c] : theme.edge;
      context.globalAlpha = 0.45;
      context.fillRect(x0 + 0.5, truthTop, Math.max(1, x1 - x0 - 1), TRUTH);
      context.globalAlpha = 1;
      context.fillRect(x0 + 0.5, truthTop + TRUTH - 2, Math.max(1, x1 - x0 - 1), 2);
      this.#caption(context, label, Math.max(0, x0), x1, truthTop + TRUTH / 2 - 1, theme.ink);
    }
  }
}
