// On paper: light colours, the whole video, every lane drawn at the width of the sheet.
const PAPER_WIDTH = 688; // CSS pixels of a track on A4 between its margins

function preparePrinting(facts, theme, view, lanes, affect, drawFaces) {
  let before = null;
  const prepare = () => {
    if (before) return;
    before = { t0: view.t0, span: view.span, width: view.width };
    theme.printing = true;
    view.fit();
    lanes.paintForPaper(PAPER_WIDTH);
    drawFaces();
    for (const { canvas, person } of affect.all) affect.draw(canvas, person, 190, 3);
  };
  const restore = () => {
    if (!before) return;
    theme.printing = false;
    lanes.onPaper = false;
    view.width = before.width;
    view.show(before.t0, before.span);
    before = null;
    lanes.measure();
    view.emit("change");
    affect.paint();
  };
  addEventListener("beforeprint", prepare);
  addEventListener("afterprint", restore);
  matchMedia("print").addEventListener("change", ({ matches }) => (matches ? prepare() : restore()));
}
