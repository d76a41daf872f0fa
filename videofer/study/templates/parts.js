/* Small parts: elements, numbers as people read them, the tip. Text is always set as text, never as HTML. */
const SVG = "http://www.w3.org/2000/svg";

function el(tag, options = {}, ...children) {
  const node = options.svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(options)) {
    if (key === "svg" || value === undefined || value === null || value === false) continue;
    if (key === "style") for (const [name, one] of Object.entries(value)) node.style.setProperty(name, one);
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
const svg = (tag, options = {}, ...children) => el(tag, { ...options, svg: true }, ...children);
const find = (id) => document.getElementById(id);

const Say = {
  percent(share, digits = 0) {
    return Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : "–";
  },
  time(seconds) {
    if (!Number.isFinite(seconds)) return "–";
    const tenths = seconds < 60 && seconds % 1 ? 1 : 0;
    if (seconds < 60) return `${seconds.toFixed(tenths)} s`;
    const whole = Math.round(seconds), h = Math.floor(whole / 3600), m = Math.floor((whole % 3600) / 60);
    const two = (value) => String(value).padStart(2, "0");
    return h ? `${h}:${two(m)}:${two(whole % 60)}` : `${m}:${two(whole % 60)}`;
  },
  value(value) {
    if (value === null || value === undefined) return "–";
    return typeof value === "number" ? String(Math.round(value * 1000) / 1000) : value;
  },
  label(label) {
    return label.replaceAll("_", " "); // states are words with underscores
  },
  count(number, noun) {
    return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
  },
};

const Tip = {
  /* Shows lines beside a point of the window: [mark colour or null, text, value]. */
  show(x, y, title, lines) {
    const tip = find("tip");
    tip.replaceChildren(
      el("strong", {}, title),
      ...lines.map(([colour, text, value]) =>
        el("span", {}, colour ? el("i", { class: "dot", style: { "--c": colour } }) : null, text, el("b", {}, value)),
      ),
    );
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = x + 14 + box.width > innerWidth - 8 ? x - 14 - box.width : x + 14;
    tip.style.left = `${Math.max(8, Math.min(left, innerWidth - box.width - 8))}px`;
    tip.style.top = `${Math.max(8, Math.min(y + 14, innerHeight - box.height - 8))}px`;
  },
  hide() {
    find("tip").hidden = true;
  },
};
