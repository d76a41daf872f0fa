// Patterns for states: not colour tells them apart but the way their lines run.
const TILE = 8;

// key -> what to stroke in a tile; `veil` lets what is below shine through, the others stand on their own ground.
const HATCHES = {
  absent: { veil: true, lines: [[0, 8, 8, 0], [-2, 2, 2, -2], [6, 10, 10, 6]] },
  no_face: { veil: true, dots: [[2, 2], [6, 6]] },
  no_prediction: { lines: [[0, 0, 8, 8], [-2, 6, 2, 10], [6, -2, 10, 2]] },
  no_person: { faint: true, dots: [[4, 4]] },
  not_decoded: { lines: [[0, 0, 8, 8], [0, 8, 8, 0]] },
};

class Hatching {
  #theme;
  #made = new Map();

  constructor(theme) {
    this.#theme = theme;
    theme.on("change", () => this.#made.clear());
  }

  #tile(key, ratio) {
    const { veil, faint, lines = [], dots = [] } = HATCHES[key];
    const theme = this.#theme;
    const tile = document.createElement("canvas");
    tile.width = tile.height = TILE * ratio;
    const context = tile.getContext("2d");
    context.scale(ratio, ratio);
    if (!faint) {
      context.globalAlpha = veil ? 0.5 : 1;
      context.fillStyle = veil ? theme.paper : theme.well;
      context.fillRect(0, 0, TILE, TILE);
    }
    context.globalAlpha = faint ? 0.55 : 1;
    context.strokeStyle = context.fillStyle = theme.hatch;
    context.lineWidth = veil ? 1.5 : 1.1;
    for (const [x0, y0, x1, y1] of lines) {
      context.beginPath();
      context.moveTo(x0, y0);
      context.lineTo(x1, y1);
      context.stroke();
    }
    for (const [x, y] of dots) {
      context.beginPath();
      context.arc(x, y, faint ? 0.8 : 1.25, 0, 7);
      context.fill();
    }
    return tile;
  }

  // Fill a rectangle with the pattern of a state. Lines keep their place on the paper, not in the rectangle.
  fill(context, key, x, y, width, height) {
    const ratio = context.getTransform().a;
    const name = `${key} ${ratio}`;
    if (!this.#made.has(name)) {
      const pattern = context.createPattern(this.#tile(key, ratio), "repeat");
      pattern.setTransform(new DOMMatrix().scale(1 / ratio));
      this.#made.set(name, pattern);
    }
    context.fillStyle = this.#made.get(name);
    context.fillRect(x, y, width, height);
  }
}

function paintSwatches(hatching) {
  for (const canvas of document.querySelectorAll(".swatch")) hatching.fill(sized(canvas, 22, 14), canvas.dataset.state, 0, 0, 22, 14);
}

// A person's face out of the sheet, into a square of a context.
function paintFace(context, person, place, x, y, side) {
  const { picture, columns, size } = person.faces;
  if (!picture.complete || !picture.naturalWidth) return;
  const [column, line] = [place % columns, Math.floor(place / columns)];
  context.drawImage(picture, column * size, line * size, size, size, x, y, side, side);
}

function loadFaces(facts, drawn) {
  for (const person of facts.persons) {
    const sheet = facts.faces[person.place];
    if (!sheet) continue;
    const picture = new Image();
    picture.onload = drawn;
    picture.src = URL.createObjectURL(new Blob([bytesOf(`faces-${person.place}`)], { type: "image/jpeg" }));
    person.faces = { ...sheet, picture };
  }
}
