// Valence and arousal of each person over time, on the circumplex: derived, and said to be so beside it.
class Affect {
  constructor(facts, player, theme) {
    Object.assign(this, { facts, player, theme });
    this.all = [...document.querySelectorAll("[data-affect]")].map((canvas) => ({ canvas, person: facts.persons[canvas.dataset.affect] }));
    this.paint = oncePerFrame(() => this.#paint());
    player.on("time", this.paint);
    theme.on("change", this.paint);
    for (const name of ["resize", "scroll"]) addEventListener(name, this.paint, { passive: true });
    for (const { canvas, person } of this.all) if (canvas.clientWidth) this.draw(canvas, person);
  }

  #paint() {
    for (const { canvas, person } of this.all) {
      const box = canvas.getBoundingClientRect();
      if (!box.width) continue; // no room for it
      if (box.bottom > -200 && box.top < innerHeight + 200) this.draw(canvas, person);
    }
  }

  draw(canvas, person, side = canvas.clientWidth || 190, ratio = undefined) {
    const context = sized(canvas, side, side, ratio);
    const { facts, theme } = this;
    const radius = side / 2 - 9;
    const at = (valence, arousal) => [side / 2 + valence * radius, side / 2 - arousal * radius];
    context.strokeStyle = theme.edge;
    context.lineWidth = 1;
    context.beginPath();
    context.arc(side / 2, side / 2, radius, 0, 7);
    context.moveTo(9, side / 2);
    context.lineTo(side - 9, side / 2);
    context.moveTo(side / 2, 9);
    context.lineTo(side / 2, side - 9);
    context.stroke();
    this.#path(context, person, at);
    facts.positions.forEach((position, c) => {
      if (!position) return;
      const [x, y] = at(...position);
      context.fillStyle = theme.fill[c];
      context.beginPath();
      context.arc(x, y, 4, 0, 7);
      context.fill();
      context.strokeStyle = theme.paper;
      context.lineWidth = 1.5;
      context.stroke();
    });
    context.fillStyle = theme.soft;
    context.font = `10.5px ${theme.font}`;
    context.textBaseline = "bottom";
    context.textAlign = "right";
    context.fillText("pleasant", side - 12, side / 2 - 3);
    context.textAlign = "left";
    context.fillText("active", side / 2 + 4, 24);
    this.#here(context, person, at);
  }

  // All rows as faint dots: where many lie, it is dark.
  #path(context, person, at) {
    const step = Math.max(1, Math.floor(person.numRows / 4000));
    context.fillStyle = this.theme.accent;
    context.globalAlpha = clamp(60 / Math.sqrt(person.numRows / step + 1) / 10, 0.08, 0.5);
    for (let row = 0; row < person.numRows; row += step) {
      if (person.valence[row] === NO_AFFECT) continue;
      const [x, y] = at(person.valence[row] / 127, person.arousal[row] / 127);
      context.fillRect(x - 1.25, y - 1.25, 2.5, 2.5);
    }
    context.globalAlpha = 1;
  }

  #here(context, person, at) {
    const row = person.rowAt(this.player.time);
    if (row < 0 || person.valence[row] === NO_AFFECT) return;
    const [x, y] = at(person.valence[row] / 127, person.arousal[row] / 127);
    context.fillStyle = this.theme.ink;
    context.strokeStyle = this.theme.paper;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, y, 5, 0, 7);
    context.fill();
    context.stroke();
  }
}
