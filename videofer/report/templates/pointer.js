// Mouse, pen and fingers on the lanes: click and drag to seek, hover to read, pinch or Ctrl and wheel to zoom.
class Pointer {
  #touches = new Map();
  #pinch = null;
  #scrubbing = false;
  #wasPlaying = false;

  constructor(facts, view, lanes, ribbon, player) {
    Object.assign(this, { facts, view, lanes, ribbon, player });
    this.tip = $("#tip");
    this.ghost = $("#ghost");
    const area = lanes.frame;
    area.addEventListener("pointerdown", (event) => this.#down(event));
    area.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) area.addEventListener(name, (event) => this.#up(event));
    area.addEventListener("pointerleave", () => this.#hideTip());
    area.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.hover = oncePerFrame(() => this.#showTip());
    addEventListener("scroll", () => this.#recall(), { passive: true });
  }

  // Only the axis and the tracks are for pointing: names and the overview have uses of their own.
  #isOnTrack(event) {
    return event.target === this.lanes.ruler || Boolean(event.target.closest?.(".lane .track"));
  }

  #time(clientX) {
    return clamp(this.view.t(clientX - this.lanes.ruler.getBoundingClientRect().left), 0, this.view.duration);
  }

  #down(event) {
    if (!this.#isOnTrack(event) || (event.pointerType === "mouse" && event.button !== 0)) return;
    if (event.pointerType === "touch") {
      this.#touches.set(event.pointerId, event.clientX);
      if (this.#touches.size === 2) {
        const [a, b] = [...this.#touches.values()];
        this.#pinch = { apart: Math.abs(a - b), t: this.#time((a + b) / 2), span: this.view.span };
        this.#scrubbing = false;
        return;
      }
    } else event.preventDefault();
    $("#slider").focus({ preventScroll: true, focusVisible: false });
    this.lanes.frame.setPointerCapture(event.pointerId);
    this.#scrubbing = true;
    this.#wasPlaying = this.player.playing;
    if (this.#wasPlaying) this.player.pause();
    this.player.seek(this.#time(event.clientX));
  }

  #move(event) {
    if (this.#touches.has(event.pointerId)) this.#touches.set(event.pointerId, event.clientX);
    if (this.#pinch && this.#touches.size === 2) {
      const [a, b] = [...this.#touches.values()];
      const span = (this.#pinch.span * this.#pinch.apart) / Math.max(20, Math.abs(a - b));
      const left = this.lanes.ruler.getBoundingClientRect().left;
      this.view.show(this.#pinch.t - (((a + b) / 2 - left) / this.view.width) * span, span);
      return;
    }
    if (this.#scrubbing) this.player.seek(this.#time(event.clientX));
    if (event.pointerType === "touch") return;
    this.at = this.#scrubbing || this.#isOnTrack(event) ? event : null;
    this.hover();
  }

  #up(event) {
    this.#touches.delete(event.pointerId);
    if (this.#touches.size < 2) this.#pinch = null;
    if (!this.#scrubbing) return;
    this.#scrubbing = false;
    if (this.#wasPlaying) this.player.play();
  }

  #wheel(event) {
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    if (!event.ctrlKey && !event.metaKey && !sideways) return;
    event.preventDefault();
    if (sideways && !event.ctrlKey) this.view.pan((event.deltaX || event.deltaY) * this.view.secondsPerPixel);
    else this.view.zoom(Math.exp(clamp(event.deltaY, -60, 60) * 0.01), this.#time(event.clientX));
    this.hover();
  }

  // After scrolling something else may lie under a mouse that did not move.
  #recall() {
    if (!this.at) return;
    const { clientX, clientY } = this.at;
    const target = document.elementFromPoint(clientX, clientY);
    if (target && this.#isOnTrack({ target })) this.hover();
    else this.#hideTip();
  }

  #hideTip() {
    this.at = null;
    this.tip.hidden = true;
    this.ghost.hidden = true;
  }

  #showTip() {
    if (!this.at) return this.#hideTip();
    const { clientX, clientY } = this.at;
    const t = this.#time(clientX);
    this.ghost.hidden = this.#scrubbing;
    this.ghost.style.transform = `translateX(${this.view.x(t)}px)`;
    const person = this.lanes.personAt(clientY);
    if (!person) {
      this.tip.hidden = true;
      return;
    }
    this.tip.replaceChildren(...tipOf(this.facts, person, this.ribbon.source, t));
    this.tip.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = this.tip;
    const x = clientX + 18 + width > innerWidth ? clientX - 18 - width : clientX + 18;
    this.tip.style.transform = `translate(${Math.max(4, x)}px, ${clamp(clientY - height / 2, 8, innerHeight - height - 8)}px)`;
  }
}

// What there is to say of a person at a time.
function tipOf(facts, person, source, t) {
  const row = person.rowAt(t);
  const parts = [make("div", "top", make("b", "", person.name), make("span", "soft", clock(t, 2)))];
  const state = row < 0 ? "not there" : facts.states[person.state[row]];
  const words = row < 0 ? "not there" : facts.stateWords[state]?.[1];
  if (words) parts.push(make("p", "state", words));
  if (row >= 0 && person.isPredicted(source, row)) parts.push(barsOf(facts, person, source, row));
  else if (row >= 0 && !words) parts.push(make("p", "state", `no answer of the ${source} here`));
  return parts;
}

const MAX_BARS = 8;

function barsOf(facts, person, source, row) {
  const bars = make("div", "bars");
  const order = facts.classes.map((_, c) => c);
  if (order.length > MAX_BARS) order.sort((a, b) => person.probability(source, row, b) - person.probability(source, row, a));
  for (const c of order.slice(0, MAX_BARS)) {
    const value = person.probability(source, row, c);
    const { rail, fill } = makeRail(facts, c);
    fillRail(facts, fill, c, value);
    bars.append(make("span", "", facts.classes[c]), rail, make("span", "value", percent(value)));
  }
  return bars;
}
