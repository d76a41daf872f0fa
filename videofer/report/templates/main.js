// Puts the parts together.
const facts = readTimeline();
const theme = new Theme(facts.classes.length);
const player = new Player(facts.duration);
const view = new View(facts.duration, facts.hop);
const hatching = new Hatching(theme);
const ribbon = new Ribbon(facts, view, theme, hatching);

function drawSummaryFaces() {
  for (const canvas of document.querySelectorAll("[data-face]")) {
    const person = facts.persons[canvas.dataset.face];
    canvas.classList.toggle("none", !person.faces);
    if (person.faces) paintFace(sized(canvas, 52, 52), person, Math.floor(person.faces.times.length / 2), 0, 0, 52);
  }
}

loadFaces(facts, () => {
  drawSummaryFaces();
  lanes.paint();
  now.redraw();
});
const lanes = new Lanes(facts, view, theme, ribbon, player);
const now = new Now(facts, ribbon, lanes, player, theme);
const boxes = new Boxes(facts, now, player, theme);
const overview = new Overview(facts, view, theme, ribbon, player);
new Pointer(facts, view, lanes, ribbon, player);
new SegmentTable(facts, player, view);
const affect = new Affect(facts, player, theme);
const controls = new Controls(facts, view, player, lanes, ribbon, now, boxes, overview);
preparePrinting(facts, theme, view, lanes, affect, drawSummaryFaces);
theme.on("change", () => paintSwatches(hatching));
paintSwatches(hatching);
drawSummaryFaces();
overview.paint();
now.update();
openFilm(facts, player);
ribbon.buildAhead();
controls.fromAddress();
// For whoever embeds or scripts the page: window.videofer.seek(12.3)
window.videofer = {
  facts,
  player,
  view,
  ribbon,
  lanes,
  seek: (t) => player.seek(t),
  boxAt: (place, t) => Boxes.at(facts.persons[place], t),
};
