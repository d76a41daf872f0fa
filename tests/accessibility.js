// Rules of WCAG 2.2 that a machine can judge. Evaluates to a list of faults, each a line that names the element.
(() => {
  const faults = [];
  const say = (element, fault) => {
    const id = element.id ? "#" + element.id : "";
    const kind = typeof element.className === "string" && element.className ? "." + element.className.trim().replace(/\s+/g, ".") : "";
    const text = (element.textContent || "").trim().replace(/\s+/g, " ").slice(0, 40);
    faults.push(`<${element.tagName.toLowerCase()}${id}${kind}> "${text}": ${fault}`);
  };
  const isShown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const all = [...document.querySelectorAll("body, body *")].filter(isShown);

  // names
  const nameOf = (element) => {
    const by = element.getAttribute("aria-labelledby");
    if (by) return by.split(/\s+/).map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim();
    const label = element.getAttribute("aria-label");
    if (label) return label.trim();
    if (element.labels?.length) return [...element.labels].map((one) => one.textContent).join(" ").trim();
    if (element.tagName === "IMG") return element.getAttribute("alt")?.trim() ?? "";
    const pictures = [...element.querySelectorAll("img[alt], svg[aria-label]")];
    const inner = pictures.map((one) => one.getAttribute("alt") || one.getAttribute("aria-label")).join(" ");
    return ((element.textContent || "") + inner + (element.getAttribute("title") || "")).trim();
  };
  const interactive = "a[href], button, input:not([type=hidden]), select, textarea, summary, video, " +
    "[role=button], [role=slider], [role=tab], [role=checkbox], [role=img], [role=application], canvas:not([aria-hidden=true])";
  for (const element of all) {
    if (element.matches(interactive) && !nameOf(element)) say(element, "has no name");
    if (element.tagName === "IMG" && !element.hasAttribute("alt")) say(element, "has no alt");
    if (element.matches("[role=slider]"))
      for (const need of ["aria-valuenow", "aria-valuemin", "aria-valuemax"])
        if (!element.hasAttribute(need)) say(element, `slider without ${need}`);
    if (element.tabIndex > 0) say(element, "tabindex above 0");
    if (element.tabIndex >= 0 && element.closest("[aria-hidden=true]")) say(element, "focus inside of aria-hidden");
    for (const attribute of ["aria-labelledby", "aria-describedby", "aria-controls", "for"])
      for (const id of (element.getAttribute(attribute) || "").split(/\s+/).filter(Boolean))
        if (!document.getElementById(id)) say(element, `${attribute} points at nothing: ${id}`);
  }

  // structure
  if (!document.documentElement.lang) faults.push("<html>: has no lang");
  if (!document.title.trim()) faults.push("<title>: is empty");
  if (document.querySelectorAll("main").length !== 1) faults.push("<main>: not exactly one");
  if (document.querySelectorAll("h1").length !== 1) faults.push("<h1>: not exactly one");
  const zoom = document.querySelector("meta[name=viewport]")?.content ?? "";
  if (/user-scalable\s*=\s*no|maximum-scale/.test(zoom)) faults.push("<meta viewport>: forbids zooming");
  let level = 0;
  for (const heading of all.filter((element) => /^H[1-6]$/.test(element.tagName))) {
    const now = Number(heading.tagName[1]);
    if (level && now > level + 1) say(heading, `heading jumps from ${level} to ${now}`);
    level = now;
  }
  const seen = new Set();
  for (const { id } of document.querySelectorAll("[id]")) {
    if (seen.has(id)) faults.push(`#${id}: twice`);
    seen.add(id);
  }
  for (const table of all.filter((element) => element.tagName === "TABLE"))
    if (!table.querySelector("th")) say(table, "table without headings");

  // targets: 24 pixels, but for links in running text and controls that are browsers' own
  for (const element of all.filter((one) => one.matches("button, [role=button], [role=tab], select, summary"))) {
    const { width, height } = element.getBoundingClientRect();
    if (width < 23.5 || height < 23.5) say(element, `target of ${width.toFixed(0)}x${height.toFixed(0)} pixels`);
  }

  // contrast of text with what is behind it
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = colour;
    paint.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => top.slice(0, 3).map((v, i) => v * top[3] + below[i] * (1 - top[3]));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const backgroundOf = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.backgroundImage !== "none" && at !== document.body) return null; // a picture: not for us to judge
      layers.push(rgba(style.backgroundColor));
    }
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
    return layers.reverse().reduce((below, top) => over(top, below), dark ? [18, 18, 18] : [255, 255, 255]);
  };
  for (const element of all) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || element.closest("[aria-hidden=true], :disabled, svg")) continue;
    const style = getComputedStyle(element);
    const { width, height } = element.getBoundingClientRect();
    if (width <= 1 || height <= 1) continue; // for screen readers only
    const back = backgroundOf(element);
    if (!back) continue;
    let front = rgba(style.color);
    let opacity = 1;
    for (let at = element; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    front = over([...front.slice(0, 3), front[3] * opacity], back);
    const [light, dark] = [luminance(front), luminance(back)].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast < (isLarge ? 3 : 4.5)) say(element, `contrast ${contrast.toFixed(2)}`);
  }
  return faults;
})()
