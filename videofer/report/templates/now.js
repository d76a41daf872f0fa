// What is said of everybody at the cursor: beside the video, at the names of the lanes, and to screen readers.
class Now {
  constructor(facts, ribbon, lanes, player, theme) {
    Object.assign(this, { facts, ribbon, lanes, player });
    this.isFull = facts.persons.length <= 1; // bars for one; a strip for each of several
    this.cards = facts.persons.map((person) => this.#card(person));
    $("#now-people").append(...this.cards.map(({ card }) => card));
    if (this.isFull && $("[data-affect]")) $("#now-people").append(this.#affect());
    $("#now-of").textContent = `of ${clock(facts.duration)}`;
    this.update = oncePerFrame(() => this.#update());
    player.on("time", this.update);
    theme.on("change", () => this.redraw());
    this.slider = $("#slider");
  }

  #card(person) {
    const face = make("canvas");
    face.setAttribute("aria-hidden", "true");
    const says = make("div", this.facts.thresholds ? "says listed" : "says");
    const head = make("div", "", make("div", "name", person.name), says);
    const bars = make("div", this.facts.classes.length > 10 ? "bars many" : "bars");
    const mix = make("div", "mix");
    const parts = this.facts.classes.map((name, c) => {
      const { rail, fill } = makeRail(this.facts, c);
      const value = make("span", "value");
      const share = make("i", `e${c}`);
      bars.append(make("span", "", name), rail, value);
      mix.append(share);
      return { fill, value, share };
    });
    const card = make("div", person.faces ? "one" : "one faceless", face, head, ...(this.isFull ? [bars] : []), mix);
    return { person, card, face, says, parts, shownFace: -2, row: -2 };
  }

  // The circumplex of the one person once more, beside the bars where there is room for it.
  #affect() {
    const canvas = make("canvas");
    canvas.dataset.affect = "0";
    canvas.setAttribute("aria-hidden", "true");
    const origin = document.querySelector("figure.affect")?.dataset.origin ?? "derived";
    return make("figure", "live", canvas, make("figcaption", "note", `valence and arousal, ${origin}`));
  }

  redraw() {
    for (const card of this.cards) card.shownFace = card.row = -2;
    this.update();
  }

  #update() {
    const t = this.player.time;
    $("#now-clock").textContent = clock(t);
    const whole = make("span", "", ` / ${clock(this.facts.duration)}`);
    $("#clock").replaceChildren(make("strong", "", clock(t)), whole);
    for (const card of this.cards) this.#updateCard(card, t);
    this.slider.setAttribute("aria-valuenow", t.toFixed(3));
    this.slider.setAttribute("aria-valuetext", this.words(t));
  }

  #updateCard(card, t) {
    const { person, face, says, parts } = card;
    const place = person.faceNear(t);
    if (place !== card.shownFace) {
      const context = sized(face, 52, 52);
      if (place >= 0) paintFace(context, person, place, 0, 0, 52);
      face.hidden = place < 0;
      card.shownFace = place;
    }
    const row = person.rowAt(t);
    const { source } = this.ribbon;
    const key = `${row} ${source}`;
    if (key === card.row) return;
    card.row = key;
    const isPredicted = row >= 0 && person.isPredicted(source, row);
    card.card.classList.toggle("away", !isPredicted);
    const [c, text, sure] = this.says(person, row);
    const dot = make("span", c >= 0 ? `dot e${c}` : "dot");
    says.replaceChildren(dot, text, make("b", "", sure === null ? "" : percent(sure)));
    const what = this.lanes.all[person.place].what;
    what.replaceChildren(dot.cloneNode(), sure === null ? text : `${text} ${percent(sure)}`);
    const { thresholds } = this.facts;
    if (thresholds) {
      what.classList.toggle("by-tags", isPredicted); // the names beside the rows tell
      this.lanes.showHolding(person.place, isPredicted ? holding(this.facts, person, source, row) : []);
    }
    parts.forEach(({ fill, value, share }, i) => {
      const p = isPredicted ? person.probability(source, row, i) : 0;
      share.style.width = `${thresholds ? 100 / parts.length : 100 * p}%`;
      if (thresholds) share.classList.toggle("off", Math.round(255 * p) < thresholds[i]);
      if (!this.isFull) return;
      fillRail(this.facts, fill, i, p);
      value.textContent = isPredicted ? percent(p) : "–";
    });
  }

  // Class, words and probability of what is said of a person in a row.
  says(person, row) {
    const { facts } = this;
    const { source } = this.ribbon;
    if (row < 0) return [-1, "not there", null];
    if (!person.isPredicted(source, row)) {
      const state = facts.states[person.state[row]];
      return [-1, facts.stateWords[state]?.[0] ?? `no ${source}`, null];
    }
    if (facts.thresholds) {
      const on = holding(facts, person, source, row);
      return [on[0] ?? -1, listed(facts, on), null];
    }
    const best = person.likeliest(source, row);
    const sure = person.probability(source, row, best);
    if (source !== "answer") return [best, facts.classes[best], sure];
    const label = person.label[row];
    if (label < facts.classes.length) return [label, facts.classes[label], person.probability(source, row, label)];
    return [-1, facts.labels[label] ?? "no answer", sure];
  }

  // Time and everybody's label, to be spoken.
  words(t) {
    const said = this.facts.persons.map((person) => {
      const [, text, sure] = this.says(person, person.rowAt(t));
      return `${person.name}: ${text}${sure === null ? "" : ` ${percent(sure)}`}`;
    });
    return [clock(t), ...said.slice(0, 4)].join("; ");
  }
}
