/* A person's path in a strip: probabilities stacked over time, or, where several classes may hold at once, a line
   for each, the stronger the likelier; bare where nothing is known. */
const Ribbon = (() => {
  const HEIGHT = 30;

  function colours(classes) {
    const neutral = getComputedStyle(document.documentElement).getPropertyValue("--neutral").trim();
    return classes.map((one) => (one.name === "neutral" ? neutral : one.colour));
  }

  /* share: how much of the strip's width the video takes. */
  function draw(canvas, curve, classes, bins, share) {
    const width = canvas.clientWidth, ratio = Math.min(3, devicePixelRatio || 1);
    if (!width) return;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(HEIGHT * ratio);
    const pen = canvas.getContext("2d"), n = classes.length, fill = colours(classes);
    const step = (canvas.width * share) / bins;
    if (Data.several) return lines(pen, canvas.height, step, curve, fill, bins);
    for (let from = 0; from < bins; from++) {
      if (curve.known[from] < 0.5) continue;
      let to = from;
      while (to < bins && curve.known[to] >= 0.5) to++;
      const sums = new Float32Array(to - from); // of the classes below, bin by bin
      for (let b = from; b < to; b++) for (let c = 0; c < n; c++) sums[b - from] += curve.p[b * n + c];
      const totals = sums.slice();
      for (let c = n - 1; c >= 0; c--) { // from the top down: each covers what lies below, so that no seam shows
        pen.fillStyle = fill[c];
        pen.beginPath();
        pen.moveTo(from * step, canvas.height);
        for (let b = from; b < to; b++) {
          const y = (1 - sums[b - from] / (totals[b - from] || 1)) * canvas.height;
          if (b === from) pen.lineTo(from * step, y);
          pen.lineTo((b + 0.5) * step, y);
          if (b === to - 1) pen.lineTo(to * step, y);
          sums[b - from] -= curve.p[b * n + c];
        }
        pen.lineTo(to * step, canvas.height);
        pen.fill();
      }
      from = to;
    }
  }

  function lines(pen, height, step, curve, fill, bins) {
    const n = fill.length, paper = getComputedStyle(document.documentElement).getPropertyValue("--paper");
    for (let b = 0; b < bins; b++) {
      if (curve.known[b] < 0.5) continue;
      const [left, right] = [Math.round(b * step), Math.round((b + 1) * step)]; // whole pixels: no seams
      pen.globalAlpha = 1;
      pen.fillStyle = paper;
      pen.fillRect(left, 0, right - left, height);
      for (let c = 0; c < n; c++) {
        pen.globalAlpha = curve.p[b * n + c];
        pen.fillStyle = fill[c];
        pen.fillRect(left, (c * height) / n, right - left, Math.max(1, height / n - 1));
      }
    }
    pen.globalAlpha = 1;
  }

  /* The likeliest classes in the bin under the pointer. */
  function linesAt(curve, classes, b) {
    const n = classes.length;
    if (curve.known[b] < 0.5) return [[null, "no prediction", ""]];
    return classes
      .map((one, c) => [one.colour, one.name, curve.p[b * n + c]])
      .sort((x, y) => y[2] - x[2])
      .slice(0, 4)
      .map(([colour, name, p]) => [colour, name, Say.percent(p)]);
  }

  return { HEIGHT, draw, linesAt };
})();
