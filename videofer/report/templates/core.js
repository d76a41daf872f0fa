// What all others use: elements, numbers in words, events.
const $ = (selector, root = document) => root.querySelector(selector);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// An element with text and children; strings become text nodes, so no name is ever markup.
function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

// Media time in words: 1:02.3, or 1:01:02.3 where the video has hours.
function clock(seconds, digits = 1) {
  const scale = 10 ** digits;
  const ticks = Math.floor(seconds * scale + 1e-6);
  const whole = Math.floor(ticks / scale);
  const rest = digits ? "." + String(ticks % scale).padStart(digits, "0") : "";
  const s = String(whole % 60).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  if (clock.hours || minutes >= 60) return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${s}${rest}`;
  return `${minutes}:${s}${rest}`;
}

const percent = (share) => (share > 0 && share < 0.01 ? "<\u00a01\u00a0%" : `${Math.round(share * 100)}\u00a0%`);

// The last place in a rising array whose value is at most x, or -1.
function placeOf(array, x) {
  let low = 0;
  let high = array.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (array[middle] <= x) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// Calls back all listeners of a name.
class Signals {
  #listeners = new Map();
  on(name, listener) {
    if (!this.#listeners.has(name)) this.#listeners.set(name, []);
    this.#listeners.get(name).push(listener);
  }
  emit(name) {
    for (const listener of this.#listeners.get(name) ?? []) listener();
  }
}

// A canvas as large as its place, in device pixels. Returns its context, scaled to CSS pixels.
function sized(canvas, width, height, ratio = Math.min(3, devicePixelRatio || 1)) {
  const w = Math.max(1, Math.round(width * ratio));
  const h = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

// Once for each frame that the screen shows, however often it is asked for.
function oncePerFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}
