// Means, least and most of probabilities over ever longer stretches, so that any zoom draws about as many numbers
// as the screen has pixels. Level k has bins of hop * 2^k seconds, from time 0; means weigh rows by their time.
class Pyramid {
  constructor(person, source, duration, hop) {
    const n = person.numClasses;
    const p = person.p[source];
    const count = Math.max(1, Math.ceil(duration / hop - 1e-9));
    const sum = new Float32Array(count * n);
    const weight = new Float32Array(count);
    const low = new Uint8Array(count * n).fill(255);
    const high = new Uint8Array(count * n);
    for (let row = 0; row < person.numRows; row++) {
      if (!person.isPredicted(source, row)) continue;
      const start = person.t0[row];
      const end = person.t1[row];
      const last = Math.min(count - 1, Math.ceil(end / hop - 1e-6) - 1);
      for (let bin = Math.max(0, Math.floor(start / hop + 1e-6)); bin <= last; bin++) {
        const share = (Math.min(end, (bin + 1) * hop) - Math.max(start, bin * hop)) / hop;
        if (share <= 0) continue;
        weight[bin] += share;
        for (let c = 0; c < n; c++) {
          const value = p[row * n + c];
          const at = bin * n + c;
          sum[at] += share * value;
          if (value < low[at]) low[at] = value;
          if (value > high[at]) high[at] = value;
        }
      }
    }
    this.numClasses = n;
    this.levels = [{ seconds: hop, count, sum, weight, low, high }];
    while (this.levels.at(-1).count > 64) this.levels.push(Pyramid.#halved(this.levels.at(-1), n));
  }

  static #halved(below, n) {
    const count = Math.ceil(below.count / 2);
    const sum = new Float32Array(count * n);
    const weight = new Float32Array(count);
    const low = new Uint8Array(count * n).fill(255);
    const high = new Uint8Array(count * n);
    for (let bin = 0; bin < below.count; bin++) {
      const up = bin >> 1;
      weight[up] += below.weight[bin];
      for (let c = 0; c < n; c++) {
        const from = bin * n + c;
        const to = up * n + c;
        sum[to] += below.sum[from];
        if (below.low[from] < low[to]) low[to] = below.low[from];
        if (below.high[from] > high[to]) high[to] = below.high[from];
      }
    }
    return { seconds: below.seconds * 2, count, sum, weight, low, high };
  }

  // The coarsest level whose bins are not longer than so many seconds; level 0 where all are.
  levelFor(seconds) {
    let level = this.levels[0];
    for (const one of this.levels) if (one.seconds <= seconds) level = one;
    return level;
  }

  // For each of `columns` stretches of `step` seconds from t0 on: mean, low and high (columns, n), in [0, 1], and
  // covered (columns), the share of the stretch that has an answer.
  columns(t0, step, columns) {
    const n = this.numClasses;
    const level = this.levelFor(step);
    const mean = new Float32Array(columns * n);
    const low = new Float32Array(columns * n);
    const high = new Float32Array(columns * n);
    const covered = new Float32Array(columns);
    for (let x = 0; x < columns; x++) {
      const first = Math.max(0, Math.floor((t0 + x * step) / level.seconds + 1e-6));
      const end = Math.min(level.count, Math.max(first + 1, Math.ceil((t0 + (x + 1) * step) / level.seconds - 1e-6)));
      let weight = 0;
      for (let bin = first; bin < end; bin++) weight += level.weight[bin];
      if (!weight) continue;
      covered[x] = Math.min(1, (weight * this.levels[0].seconds) / ((end - first) * level.seconds));
      for (let c = 0; c < n; c++) {
        let total = 0;
        let least = 255;
        let most = 0;
        for (let bin = first; bin < end; bin++) {
          const at = bin * n + c;
          total += level.sum[at];
          if (level.low[at] < least) least = level.low[at];
          if (level.high[at] > most) most = level.high[at];
        }
        mean[x * n + c] = total / weight / 255;
        low[x * n + c] = least / 255;
        high[x * n + c] = most / 255;
      }
    }
    return { mean, low, high, covered };
  }
}
