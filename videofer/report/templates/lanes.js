// The lanes of all persons below one another, with the axis above and the cursor over them.
class Lanes {
  constructor(facts, view, theme, ribbon, player) {
    Object.assign(this, { facts, view, theme, ribbon, player });
    this.frame = $("#lanes");
    this.cursor = $("#cursor");
    this.ruler = $("#ruler");
    this.onPaper = false; // drawn for a printer, to be left alone
    this.all = facts.persons.map((person) => this.#make(person));
    if (!this.all.length) $("#people").append(make("p", "nobody", "Nobody was seen in this video."));
    this.paint = oncePerFrame(() => this.#paint());
    this.seen = new Set(this.all);
    const observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const lane = this.all.find((one) => one.canvas === target);
        if (isIntersecting) this.seen.add(lane);
        else this.seen.delete(lane);
      }
      this.paint();
    }, { rootMargin: "200px" });
    for (const { canvas } of this.all) observer.observe(canvas);
    new ResizeObserver(() => this.measure()).observe(this.ruler.parentElement);
    this.measure();
    for (const source of [view, theme]) source.on("change", this.paint);
    view.on("change", () => this.moveCursor());
    player.on("time", () => this.moveCursor());
  }

  #make(person) {
    const name = make("div", "name", person.name);
    name.title = person.name;
    const what = make("div", "what");
    const tags = make("div", "tags");
    const canvas = make("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", this.#description(person));
    const lane = make("div", "lane", make("div", "who", name, what, tags), make("div", "track", canvas));
    lane.dataset.person = person.place;
    $("#people").append(lane);
    return { person, canvas, what, tags, lane, said: null, on: [] };
  }

  #description(person) {
    const count = this.facts.segments.ofPerson[person.place].length;
    const span = person.numRows ? `${clock(person.t0[0])} to ${clock(person.t1[person.numRows - 1])}` : "never seen";
    return `${person.name}, ${span}, ${count} segments; all of them are in the table below`;
  }

  measure() {
    if (this.onPaper) return;
    const width = this.ruler.parentElement.clientWidth;
    if (width && width !== this.view.width) {
      this.view.width = width;
      this.view.emit("change");
    }
    this.paint();
  }

  // The heights of lanes are known without drawing them: the page keeps its length while one scrolls.
  #paint() {
    if (this.onPaper) return;
    const { width } = this.view;
    this.#axis(sized(this.ruler, width, 30), width);
    for (const one of this.all) {
      const lay = this.ribbon.layout(one.person, width);
      one.lay = lay;
      one.canvas.style.height = `${lay.height}px`;
      if (this.seen.has(one)) this.ribbon.draw(sized(one.canvas, width, lay.height), one.person, width, lay);
      this.#tag(one);
    }
    this.moveCursor();
  }

  // For paper: every lane at this width, as sharp as a printer needs it.
  paintForPaper(width) {
    this.onPaper = true;
    this.view.width = width;
    this.#axis(sized(this.ruler, width, 30, 3), width);
    for (const one of this.all) {
      one.lay = { ...this.ribbon.layout(one.person, width), isPaper: true };
      one.canvas.style.height = "auto";
      this.ribbon.draw(sized(one.canvas, width, one.lay.height, 3), one.person, width, one.lay);
      this.#tag(one);
    }
  }

  // Names of emotions beside their rows.
  #tag(one) {
    const { tags, lay, person } = one;
    const inRows = this.ribbon.mode === "rows" && this.ribbon.solo < 0 && person.numRows > 0;
    const key = `${inRows} ${lay.ribbonTop} ${lay.ribbon}`;
    if (tags.dataset.key === key) return;
    tags.dataset.key = key;
    tags.replaceChildren();
    const put = (text, y) => {
      const tag = make("span", "", text);
      tag.style.top = `${y}px`;
      tags.append(tag);
      return tag;
    };
    const step = lay.ribbon / this.facts.classes.length;
    if (inRows) {
      this.facts.classes.forEach((name, c) => {
        const tag = put(name, lay.ribbonTop + (c + 0.58) * step);
        if (this.facts.thresholds) tag.append(make("span", `dot e${c}`));
      });
      this.#markTags(one);
    }
    if (!person.truth.length) return;
    if (!this.facts.thresholds) put("segments", lay.stripTop + STRIP / 2);
    put("truth", lay.truthTop + TRUTH / 2);
  }

  // Which classes of a person hold at the cursor: their names stand out.
  showHolding(place, on) {
    const one = this.all[place];
    one.on = on;
    this.#markTags(one);
  }

  #markTags({ tags, on }) {
    [...tags.children].forEach((tag, c) => tag.classList.toggle("on", on.includes(c)));
  }

  #axis(context, width) {
    const { view, theme } = this;
    const step = axisStep(view.secondsPerPixel, clock.hours ? 84 : 66);
    const digits = step < 1 ? 1 : 0;
    context.font = `12px ${theme.font}`;
    context.textBaseline = "alphabetic";
    const small = step / (step >= 10 || step === 1 || step === 0.1 ? 5 : step === 2 || step === 0.2 ? 4 : 5);
    for (let i = Math.ceil(view.t0 / small - 1e-9); i * small <= view.t1 + 1e-9; i++) {
      const t = i * small;
      const x = Math.round(view.x(t)) + 0.5;
      const isLabelled = Math.abs(t / step - Math.round(t / step)) < 1e-6;
      context.strokeStyle = isLabelled ? theme.faint : theme.edge;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(x, isLabelled ? 21 : 24);
      context.lineTo(x, 28);
      context.stroke();
      if (!isLabelled) continue;
      context.fillStyle = theme.soft;
      const text = clock(t, digits);
      const half = context.measureText(text).width / 2;
      context.textAlign = "left";
      context.fillText(text, clamp(x - half, 0, width - 2 * half), 16);
    }
  }

  moveCursor() {
    const t = this.player.time;
    if (this.player.playing) this.view.follow(t, true);
    const x = this.view.x(t);
    this.cursor.style.transform = `translateX(${x}px)`;
    this.cursor.hidden = x < -2 || x > this.view.width + 2;
  }

  // The person whose lane is at this height of the window, or null.
  personAt(clientY) {
    for (const { lane, person } of this.all) {
      const box = lane.getBoundingClientRect();
      if (clientY >= box.top && clientY < box.bottom) return person;
    }
    return null;
  }
}
