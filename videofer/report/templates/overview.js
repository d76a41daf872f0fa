// The whole video in one strip: who says what when, and the stretch that the lanes show, to be moved and stretched.
const OVERVIEW = 30;
const HANDLE = 9;

class Overview {
  #canvas = $("#overview");
  #drag = null;

  constructor(facts, view, theme, ribbon, player) {
    Object.assign(this, { facts, view, theme, ribbon, player });
    this.paint = oncePerFrame(() => this.#paint());
    for (const source of [view, theme]) source.on("change", this.paint);
    player.on("time", this.paint);
    this.#canvas.addEventListener("pointerdown", (event) => this.#down(event));
    this.#canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) this.#canvas.addEventListener(name, () => (this.#drag = null));
    this.#canvas.addEventListener("dblclick", () => view.fit());
  }

  #x(t) {
    return (t / this.view.duration) * this.view.width;
  }

  // Which class is likeliest in each pixel, for every person, or which ones hold, each in a line of its own: drawn
  // once for a size and theme, then kept.
  #strips(ratio) {
    const { facts, theme, view } = this;
    const key = `${view.width} ${ratio} ${theme.isDark} ${this.ribbon.source} ${theme.fill[0]}`;
    if (this.kept?.key === key) return this.kept.picture;
    const picture = document.createElement("canvas");
    const context = sized(picture, view.width, OVERVIEW, ratio);
    context.fillStyle = theme.rail;
    context.fillRect(0, 0, view.width, OVERVIEW);
    const height = Math.min(facts.thresholds ? 24 : 10, (OVERVIEW - (facts.thresholds ? 6 : 8)) / Math.max(1, facts.persons.length));
    const top = (OVERVIEW - height * facts.persons.length) / 2;
    const step = view.duration / view.width;
    facts.persons.forEach((person, place) => {
      const n = person.numClasses;
      const { mean, high, covered } = this.ribbon.pyramid(person).columns(0, step, Math.ceil(view.width));
      for (let x = 0; x < view.width; x++) {
        if (!covered[x]) continue;
        if (facts.thresholds) {
          for (let c = 0; c < n; c++) {
            const least = facts.thresholds[c] / 255 - 1e-4;
            if (high[x * n + c] < least) continue;
            context.globalAlpha = mean[x * n + c] < least ? 0.4 : 1; // for a part of the pixel's time only
            context.fillStyle = theme.fill[c];
            context.fillRect(x, top + (place + c / n) * height, 1.2, Math.max(0.5, height / n));
          }
          context.globalAlpha = 1;
          continue;
        }
        let best = 0;
        for (let c = 1; c < n; c++) if (mean[x * n + c] > mean[x * n + best]) best = c;
        context.fillStyle = theme.fill[best];
        context.fillRect(x, top + place * height, 1.2, Math.max(1, height - (height > 5 ? 1.5 : 0)));
      }
    });
    this.kept = { key, picture };
    return picture;
  }

  #paint() {
    const { view, theme } = this;
    const ratio = Math.min(3, devicePixelRatio || 1);
    const strips = this.#strips(ratio);
    const context = sized(this.#canvas, view.width, OVERVIEW, ratio);
    this.#canvas.style.height = `${OVERVIEW}px`;
    context.drawImage(strips, 0, 0, view.width, OVERVIEW);
    const [x0, x1] = [this.#x(view.t0), this.#x(view.t1)];
    if (!view.isWhole) {
      context.globalAlpha = 0.62;
      context.fillStyle = theme.paper;
      context.fillRect(0, 0, x0, OVERVIEW);
      context.fillRect(x1, 0, view.width - x1, OVERVIEW);
      context.globalAlpha = 1;
      context.strokeStyle = theme.ink;
      context.lineWidth = 1.5;
      context.beginPath();
      context.roundRect(x0 + 0.75, 0.75, Math.max(3, x1 - x0 - 1.5), OVERVIEW - 1.5, 6);
      context.stroke();
      context.fillStyle = theme.ink;
      for (const x of [x0 + 4, x1 - 6.5]) context.fillRect(x, OVERVIEW / 2 - 6, 2.5, 12);
    }
    context.fillStyle = theme.ink;
    context.fillRect(this.#x(this.player.time) - 0.75, 0, 1.5, OVERVIEW);
  }

  #time(event) {
    const box = this.#canvas.getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * this.view.duration;
  }

  #down(event) {
    const { view } = this;
    const t = this.#time(event);
    const reach = (HANDLE / view.width) * view.duration;
    this.#canvas.setPointerCapture(event.pointerId);
    if (view.isWhole) this.#drag = { kind: "seek" };
    else if (Math.abs(t - view.t0) < reach) this.#drag = { kind: "left" };
    else if (Math.abs(t - view.t1) < reach) this.#drag = { kind: "right" };
    else {
      if (t < view.t0 || t > view.t1) view.show(t - view.span / 2, view.span);
      this.#drag = { kind: "pan", offset: t - view.t0 };
    }
    this.#move(event);
  }

  #move(event) {
    if (!this.#drag) return;
    const { view } = this;
    const t = clamp(this.#time(event), 0, view.duration);
    if (this.#drag.kind === "seek") this.player.seek(t);
    else if (this.#drag.kind === "left") view.show(Math.min(t, view.t1 - view.least), view.t1 - Math.min(t, view.t1 - view.least));
    else if (this.#drag.kind === "right") view.show(view.t0, t - view.t0);
    else view.show(t - this.#drag.offset, view.span);
  }
}
