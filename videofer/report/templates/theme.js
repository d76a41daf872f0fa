// Light or dark: as the reader's system has it, until the button says otherwise. Paper is always light.
class Theme extends Signals {
  #system = matchMedia("(prefers-color-scheme: dark)");
  #chosen = null;
  #printing = false;

  constructor(numClasses) {
    super();
    this.numClasses = numClasses;
    try {
      this.#chosen = localStorage.getItem("videofer-theme");
    } catch {
      // no storage for this page: the choice lasts as long as the page
    }
    this.#system.addEventListener("change", () => this.#apply());
    $("#theme").addEventListener("click", () => {
      this.#chosen = this.isDark ? "light" : "dark";
      try {
        localStorage.setItem("videofer-theme", this.#chosen);
      } catch {
        // as above
      }
      this.#apply();
    });
    this.#apply();
  }

  get isDark() {
    if (this.#printing) return false;
    return this.#chosen ? this.#chosen === "dark" : this.#system.matches;
  }

  set printing(value) {
    this.#printing = value;
    this.#apply();
  }

  #apply() {
    document.documentElement.dataset.theme = this.isDark ? "dark" : "light";
    $("#theme").setAttribute("aria-label", this.isDark ? "Light colours" : "Dark colours");
    const style = getComputedStyle(document.documentElement);
    for (const name of ["paper", "wash", "well", "ink", "soft", "faint", "line", "edge", "accent", "hatch", "rail"]) this[name] = style.getPropertyValue(`--${name}`).trim();
    this.font = getComputedStyle(document.body).fontFamily;
    const probe = make("i");
    document.body.append(probe);
    this.fill = [];
    this.on_fill = [];
    for (let c = 0; c < this.numClasses; c++) {
      probe.className = `e${c}`;
      const own = getComputedStyle(probe);
      this.fill.push(own.getPropertyValue("--c").trim().replace("var(--neutral)", style.getPropertyValue("--neutral").trim()));
      this.on_fill.push(own.getPropertyValue("--on-c").trim().replace("var(--ink)", this.ink));
    }
    probe.remove();
    this.emit("change");
  }
}
