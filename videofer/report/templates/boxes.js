// Boxes around faces over the video, with name and label, between the middles of rows in even motion.
class Boxes {
  #canvas = $("#boxes");
  #video = $("#video");

  constructor(facts, now, player, theme) {
    Object.assign(this, { facts, now, player, theme });
    if (!this.#canvas) return;
    this.paint = oncePerFrame(() => this.#paint());
    player.on("time", this.paint);
    theme.on("change", this.paint);
    new ResizeObserver(this.paint).observe(this.#canvas);
    this.#video.addEventListener("loadedmetadata", this.paint);
    $("#frames").addEventListener("click", () => this.toggle());
  }

  toggle() {
    const button = $("#frames");
    if (!button) return;
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    this.paint();
  }

  // x0, y0, x1, y1 of a person's face at t in source pixels, or null.
  static at(person, t) {
    const row = person.rowAt(t);
    if (row < 0 || person.box[4 * row] === NO_BOX) return null;
    const middle = (person.t0[row] + person.t1[row]) / 2;
    const other = clamp(t < middle ? row - 1 : row + 1, 0, person.numRows - 1);
    const isNear = person.box[4 * other] !== NO_BOX && Math.abs(person.t0[other] - person.t0[row]) < 1;
    const between = other === row || !isNear ? 0 : Math.abs((t - middle) / ((person.t0[other] + person.t1[other]) / 2 - middle));
    return [0, 1, 2, 3].map((i) => person.box[4 * row + i] * (1 - between) + person.box[4 * other + i] * between);
  }

  #paint() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const context = sized(this.#canvas, width, height);
    const { facts, theme, player } = this;
    if ($("#frames").getAttribute("aria-pressed") !== "true" || !facts.video.width || !player.hasVideo) return;
    const shown = this.#video.videoWidth ? this.#video.videoWidth / this.#video.videoHeight : facts.video.width / facts.video.height;
    if (Math.abs((shown * facts.video.height) / facts.video.width - 1) > 0.03) return; // another frame than was analysed
    const fitted = Math.min(width, height * shown);
    const [sx, sy] = [fitted / facts.video.width, fitted / shown / facts.video.height];
    const [left, top] = [(width - fitted) / 2, (height - fitted / shown) / 2];
    const t = player.time;
    for (const person of facts.persons) {
      const box = Boxes.at(person, t);
      if (!box) continue;
      const [c, text, sure] = this.now.says(person, person.rowAt(t));
      const [x, y] = [left + box[0] * sx, top + box[1] * sy];
      const [w, h] = [(box[2] - box[0]) * sx, (box[3] - box[1]) * sy];
      context.lineWidth = 4;
      context.strokeStyle = "rgb(10 14 18 / 45%)";
      context.beginPath();
      context.roundRect(x, y, w, h, 6);
      context.stroke();
      context.lineWidth = 2;
      context.strokeStyle = c >= 0 ? theme.fill[c] : "#ffffff";
      context.stroke();
      const said = sure === null ? text : `${text} ${percent(sure)}`;
      this.#tag(context, facts.persons.length > 1 ? `${person.name} · ${said}` : said, x, y, c, width);
    }
  }

  #tag(context, text, x, y, c, width) {
    const { theme } = this;
    context.font = `600 12.5px ${theme.font}`;
    context.textBaseline = "middle";
    const wide = context.measureText(text).width + 14;
    const left = clamp(x - 1, 2, Math.max(2, width - wide - 2));
    const top = Math.max(2, y - 26);
    context.fillStyle = c >= 0 ? theme.fill[c] : "#ffffff";
    context.beginPath();
    context.roundRect(left, top, wide, 22, 6);
    context.fill();
    context.fillStyle = c >= 0 ? theme.on_fill[c] : "#14181c";
    context.fillText(text, left + 7, top + 11.5);
  }
}
