// The table of segments: sorted, filtered, a hundred at a time; a click goes to the time.
const PAGE = 100;

class SegmentTable {
  #body = $("#segment-table tbody");
  #more = $("#more");
  #rows = [];
  #shown = 0;
  #key = "onset";
  #falling = false;
  #current = null;

  constructor(facts, player, view) {
    Object.assign(this, { facts, player, view });
    for (const id of ["by-person", "by-label"]) document.getElementById(id)?.addEventListener("change", () => this.fill());
    for (const button of document.querySelectorAll("#segment-table thead button")) button.addEventListener("click", () => this.#sort(button.value));
    this.#more.addEventListener("click", () => this.#grow());
    this.#body.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-segment]");
      if (row) this.jump(Number(row.dataset.segment));
    });
    for (const button of document.querySelectorAll(".summary .jump"))
      button.addEventListener("click", () => this.#go(Number(button.dataset.t)));
    player.on("time", () => this.#mark());
    this.fill();
  }

  jump(segment) {
    this.#go(this.facts.segments.onset[segment]);
  }

  // A little after the very edge: players would show the picture before.
  #go(t) {
    this.player.seek(t + 1e-3);
    this.view.follow(t, false);
  }

  #sort(key) {
    this.#falling = this.#key === key ? !this.#falling : ["duration", "mean_probability"].includes(key);
    this.#key = key;
    for (const button of document.querySelectorAll("#segment-table thead button")) {
      const order = button.value === key ? (this.#falling ? "descending" : "ascending") : "none";
      button.parentElement.setAttribute("aria-sort", order);
    }
    this.fill();
  }

  #value(key, i) {
    const { segments, persons, classes } = this.facts;
    if (key === "duration") return segments.offset[i] - segments.onset[i];
    if (key === "person") return persons[segments.person[i]].name;
    if (key === "label") return classes[segments.label[i]];
    return segments[key][i];
  }

  fill() {
    const { segments } = this.facts;
    const person = $("#by-person")?.value ?? "";
    const label = $("#by-label").value;
    this.#rows = [];
    for (let i = 0; i < segments.count; i++)
      if ((person === "" || segments.person[i] === Number(person)) && (label === "" || segments.label[i] === Number(label))) this.#rows.push(i);
    const sign = this.#falling ? -1 : 1;
    const values = new Map(this.#rows.map((i) => [i, this.#value(this.#key, i)]));
    this.#rows.sort((a, b) => {
      const [x, y] = [values.get(a), values.get(b)];
      return (x < y ? -1 : x > y ? 1 : 0) * sign || a - b;
    });
    $("#segment-count").textContent = `${this.#rows.length} of ${segments.count}`;
    this.#body.replaceChildren();
    this.#current = null;
    this.#shown = 0;
    this.#grow();
    if (!this.#rows.length) {
      const cell = make("td", "soft", segments.count ? "None of this kind." : "No expression was sure and long enough to be a segment.");
      cell.colSpan = 9;
      this.#body.append(make("tr", "", cell));
    }
  }

  #grow() {
    const end = Math.min(this.#rows.length, this.#shown + PAGE);
    this.#body.append(...this.#rows.slice(this.#shown, end).map((i) => this.#row(i)));
    this.#shown = end;
    const left = this.#rows.length - end;
    this.#more.hidden = !left;
    this.#more.textContent = `Show ${Math.min(PAGE, left)} more of ${left}`;
    this.#mark();
  }

  #row(i) {
    const { segments, persons, classes } = this.facts;
    const c = segments.label[i];
    const jump = make("button", "jump", clock(segments.onset[i], 2));
    jump.type = "button";
    const sure = make("i", `e${c}`);
    sure.style.transform = `scaleX(${segments.mean_probability[i]})`;
    const cells = [
      make("td", "n", jump),
      make("td", "n", clock(segments.offset[i], 2)),
      make("td", "n", `${(segments.offset[i] - segments.onset[i]).toFixed(2)}\u00a0s`),
      ...(persons.length > 1 ? [make("td", "who", persons[segments.person[i]].name)] : []),
      make("td", "label", make("span", "said", make("span", `dot e${c}`), classes[c])),
      make("td", "wide", percent(segments.mean_probability[i]), make("span", "sure", sure)),
      make("td", "n wide", `${clock(segments.apex[i], 2)} (${percent(segments.apex_probability[i])})`),
    ];
    const row = make("tr", "", ...cells);
    row.dataset.segment = i;
    return row;
  }

  // The segments that hold the cursor are marked.
  #mark() {
    const t = this.player.time;
    const on = this.facts.persons.flatMap((person) => this.facts.segments.at(person.place, t));
    const key = on.join(" ");
    if (key === this.#current) return;
    this.#current = key;
    for (const row of this.#body.querySelectorAll("tr.on")) row.classList.remove("on");
    for (const i of on) this.#body.querySelector(`tr[data-segment="${i}"]`)?.classList.add("on");
  }
}
