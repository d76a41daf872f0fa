// Keys and buttons.
class Controls {
  constructor(facts, view, player, lanes, ribbon, now, boxes, overview) {
    Object.assign(this, { facts, view, player, lanes, ribbon, now, boxes, overview });
    const does = {
      play: () => player.toggle(),
      previous: () => this.step(-1),
      next: () => this.step(1),
      in: () => this.zoom(0.5),
      out: () => this.zoom(2),
      fit: () => view.fit(),
      mute: () => (player.muted = !player.muted),
      help: () => $("#keys").showModal(),
    };
    for (const [id, action] of Object.entries(does)) document.getElementById(id)?.addEventListener("click", action);
    // After a click with the mouse the space bar plays again, rather than the button once more.
    $(".bar").addEventListener("click", (event) => event.detail && event.target.closest("button")?.blur());
    $("#rate").addEventListener("change", ({ target }) => {
      player.rate = Number(target.value);
      target.blur();
    });
    $("#video")?.addEventListener("click", () => player.toggle());
    this.#choice("#sources", (value) => (ribbon.source = value));
    this.#choice("#views", (value) => (ribbon.mode = value));
    this.#legend();
    player.on("state", () => this.#state());
    view.on("change", () => this.#zoomable());
    document.addEventListener("keydown", (event) => this.#key(event));
    addEventListener("hashchange", () => this.fromAddress());
    this.#state();
    this.#zoomable();
  }

  // "#t=12.3" in the address goes there.
  fromAddress() {
    const found = /^#t=(\d+(?:\.\d+)?)$/.exec(location.hash);
    if (!found) return;
    this.player.seek(Number(found[1]));
    this.view.follow(this.player.time, false);
  }

  zoom(factor) {
    const t = this.player.time;
    const around = t >= this.view.t0 && t <= this.view.t1 ? t : (this.view.t0 + this.view.t1) / 2;
    this.view.zoom(factor, around);
  }

  // To the next or the last begin of a segment of anybody.
  step(direction) {
    const { onset, count } = this.facts.segments; // in order of time
    const t = this.player.time;
    const near = 0.005;
    let to = -1;
    if (direction > 0) to = placeOf(onset, t + near) + 1;
    else {
      // Just begun, the one before is meant; a while into one, its own begin.
      const limit = t - (this.player.playing ? 0.7 : near);
      to = placeOf(onset, limit);
    }
    if (to < 0 || to >= count) return this.speak("no further segment");
    this.player.seek(onset[to] + 1e-3);
    this.view.follow(onset[to], false);
    const { person, label } = this.facts.segments;
    this.speak(`${this.facts.persons[person[to]].name}, ${this.facts.classes[label[to]]}, ${clock(onset[to])}`);
  }

  speak(text) {
    $("#spoken").textContent = text;
  }

  redraw() {
    this.lanes.paint();
    this.overview.paint();
    this.now.redraw();
    this.boxes.paint?.();
  }

  #choice(selector, choose) {
    const group = $(selector);
    group?.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (!button) return;
      for (const one of group.children) one.setAttribute("aria-pressed", String(one === button));
      choose(button.value);
      this.redraw();
    });
  }

  // The next of a group of choices.
  #turn(selector) {
    const buttons = [...($(selector)?.children ?? [])];
    const at = buttons.findIndex((one) => one.getAttribute("aria-pressed") === "true");
    buttons[(at + 1) % buttons.length]?.click();
  }

  #legend() {
    const chips = [...document.querySelectorAll("#legend button")];
    for (const chip of chips) {
      const c = Number(chip.value);
      chip.addEventListener("click", () => {
        this.ribbon.solo = this.ribbon.solo === c ? -1 : c;
        this.ribbon.lit = -1;
        for (const one of chips) one.setAttribute("aria-pressed", String(Number(one.value) === this.ribbon.solo));
        this.lanes.paint();
      });
      chip.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && this.#light(c));
      chip.addEventListener("pointerleave", () => this.#light(-1));
    }
  }

  #light(c) {
    this.ribbon.lit = this.ribbon.solo >= 0 ? -1 : c;
    this.lanes.paint();
  }

  #state() {
    const { player } = this;
    document.documentElement.classList.toggle("playing", player.playing);
    $("#play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
    $("#mute")?.setAttribute("aria-pressed", String(player.muted));
  }

  #zoomable() {
    $("#out").disabled = $("#fit").disabled = this.view.isWhole;
    $("#in").disabled = this.view.span <= this.view.least * 1.001;
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || $("#keys").open) return;
    if (event.target.closest("input, select, textarea")) return;
    const button = event.target.closest("button, summary, a");
    // That of a closed dialog may hold the focus for a moment.
    const isButton = Boolean(button) && (button.checkVisibility?.() ?? true);
    if (isButton && (event.key === " " || event.key === "Enter")) return;
    const { player, view } = this;
    const move = (seconds) => {
      player.seek(player.time + seconds);
      view.follow(player.time, false);
    };
    const step = event.shiftKey ? this.facts.hop : 1;
    const does = {
      " ": () => player.toggle(),
      k: () => player.toggle(),
      ArrowLeft: () => move(-step),
      ArrowRight: () => move(step),
      Home: () => move(-Infinity),
      End: () => move(Infinity),
      n: () => this.step(1),
      p: () => this.step(-1),
      "+": () => this.zoom(0.5),
      "=": () => this.zoom(0.5),
      "-": () => this.zoom(2),
      0: () => view.fit(),
      m: () => (player.muted = !player.muted),
      b: () => this.boxes.toggle(),
      v: () => this.#turn("#views"),
      s: () => this.#turn("#sources"),
      "?": () => $("#keys").showModal(),
    };
    const action = does[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}
