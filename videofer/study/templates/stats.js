"use strict";
/* Means over videos, and how sure they are. Nothing is drawn here.
   A curve is {p, known}: probabilities (bins * n, bin by bin), and how much of each bin is known, in [0, 1]. */
const Stats = (() => {
  /* From the page's bytes: base64 of (bins, n + 1) uint8. */
  function decode(text, bins, n) {
    const raw = atob(text);
    const p = new Float32Array(bins * n), known = new Float32Array(bins);
    for (let b = 0; b < bins; b++) {
      const at = b * (n + 1);
      for (let c = 0; c < n; c++) p[b * n + c] = raw.charCodeAt(at + c) / 255;
      known[b] = raw.charCodeAt(at + n) / 255;
    }
    return { p, known };
  }

  /* Several persons of a video as one: everybody counts by the time that is known. */
  function together(curves, bins, n) {
    if (curves.length === 1) return curves[0];
    const p = new Float32Array(bins * n), known = new Float32Array(bins);
    for (let b = 0; b < bins; b++) {
      let sum = 0;
      for (const curve of curves) sum += curve.known[b];
      if (!sum) continue;
      for (const curve of curves)
        for (let c = 0; c < n; c++) p[b * n + c] += (curve.known[b] / sum) * curve.p[b * n + c];
      known[b] = Math.min(1, sum);
    }
    return { p, known };
  }

  /* Other bins: `count` of them over [0, seconds), from `bins` over [0, duration). */
  function resample(curve, duration, bins, seconds, count, n) {
    const p = new Float32Array(count * n), known = new Float32Array(count);
    const step = seconds / count, own = duration / bins;
    for (let b = 0; b < count; b++) {
      const from = b * step, to = Math.min(duration, from + step);
      if (!(own > 0) || from >= duration) break;
      let sum = 0;
      for (let i = Math.floor(from / own); i < bins && i * own < to; i++) {
        const weight = (Math.min(to, (i + 1) * own) - Math.max(from, i * own)) * curve.known[i];
        if (!(weight > 0)) continue;
        sum += weight;
        for (let c = 0; c < n; c++) p[b * n + c] += weight * curve.p[i * n + c];
      }
      if (!sum) continue;
      for (let c = 0; c < n; c++) p[b * n + c] /= sum;
      known[b] = Math.min(1, sum / step);
    }
    return { p, known };
  }

  /* Several videos of one unit as one: each that is known in a bin counts the same. */
  function average(curves, bins, n) {
    if (curves.length === 1) return curves[0];
    const p = new Float32Array(bins * n), known = new Float32Array(bins);
    for (let b = 0; b < bins; b++) {
      const there = curves.filter((curve) => curve.known[b] > 0);
      for (const curve of there)
        for (let c = 0; c < n; c++) p[b * n + c] += curve.p[b * n + c] / there.length;
      known[b] = there.length ? 1 : 0;
    }
    return { p, known };
  }

  const MIN_UNITS = 5; // for an interval: of fewer it says nothing

  /* Mean of numbers, and half the width of its 95 % interval by Student's t; NaN below MIN_UNITS numbers. */
  function describe(values, t95) {
    const n = values.length;
    if (!n) return { n, mean: NaN, half: NaN };
    let mean = 0;
    for (const value of values) mean += value / n;
    if (n < MIN_UNITS) return { n, mean, half: NaN };
    let squares = 0;
    for (const value of values) squares += (value - mean) ** 2;
    const t = n - 2 < t95.length ? t95[n - 2] : 1.96;
    return { n, mean, half: t * Math.sqrt(squares / (n - 1) / n) };
  }

  /* The mean over units, bin by bin: {n (bins), mean, half (bins * n)}. */
  function meanCurve(units, bins, n, t95) {
    const counts = new Uint32Array(bins);
    const mean = new Float32Array(bins * n).fill(NaN), half = new Float32Array(bins * n).fill(NaN);
    for (let b = 0; b < bins; b++) {
      const there = units.filter((unit) => unit.known[b] > 0);
      counts[b] = there.length;
      if (!there.length) continue;
      for (let c = 0; c < n; c++) {
        const one = describe(there.map((unit) => unit.p[b * n + c]), t95);
        mean[b * n + c] = one.mean;
        half[b * n + c] = one.half;
      }
    }
    return { n: counts, mean, half };
  }

  return { MIN_UNITS, decode, together, resample, average, describe, meanCurve };
})();
