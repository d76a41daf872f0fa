// The timeline as typed arrays, as videofer.report.pack wrote them.
const NO_AFFECT = -128;
const NO_BOX = -32768;
const ARRAYS = { f8: Float64Array, u1: Uint8Array, i1: Int8Array, i2: Int16Array };

function bytesOf(id) {
  const text = document.getElementById(id).textContent;
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

function arraysOf(id, layout) {
  const { buffer } = bytesOf(id);
  const arrays = {};
  for (const [name, [kind, offset, count]] of Object.entries(layout)) arrays[name] = new ARRAYS[kind](buffer, offset, count);
  return arrays;
}

class Person {
  constructor(place, { id, name }, facts) {
    Object.assign(this, { place, id, name });
    const rows = arraysOf(`rows-${place}`, facts.layouts[`rows-${place}`]);
    Object.assign(this, { t0: rows.t_start, t1: rows.t_end, label: rows.label, state: rows.state });
    Object.assign(this, { face: rows.face, body: rows.body, box: rows.box });
    Object.assign(this, { valence: rows.valence, arousal: rows.arousal });
    this.numRows = this.t0.length;
    this.numClasses = facts.classes.length;
    this.p = Object.fromEntries(facts.sources.map((source) => [source, rows[`p_${source}`]]));
    const ok = facts.states.indexOf("ok");
    const uncertain = facts.labels.indexOf("uncertain", facts.classes.length);
    this.runs = this.#runs(this.state, (value) => value !== ok);
    this.runStarts = Float64Array.from(this.runs, (run) => run[0]);
    this.uncertainRuns = this.#runs(this.label, (value) => value === uncertain);
    this.faces = null; // { times, columns, size, picture }
    this.truth = [];
  }

  // Stretches of rows that have one and the same wanted value: [t0, t1, value].
  #runs(values, isWanted) {
    const runs = [];
    for (let i = 0; i < this.numRows; i++) {
      if (!isWanted(values[i])) continue;
      const last = runs.at(-1);
      if (last && last[2] === values[i] && this.t0[i] - last[1] < 1e-6) last[1] = this.t1[i];
      else runs.push([this.t0[i], this.t1[i], values[i]]);
    }
    return runs;
  }

  // The row that holds time t, or -1.
  rowAt(t) {
    const row = placeOf(this.t0, t);
    if (row < 0) return -1;
    const isEnd = row === this.numRows - 1 && t === this.t1[row];
    return t < this.t1[row] || isEnd ? row : -1;
  }

  // Probability of a class in a row, in [0, 1].
  probability(source, row, c) {
    return this.p[source][row * this.numClasses + c] / 255;
  }

  isPredicted(source, row) {
    const p = this.p[source];
    const at = row * this.numClasses;
    for (let c = 0; c < this.numClasses; c++) if (p[at + c]) return true;
    return false;
  }

  // The likeliest class of a source in a row, or -1.
  likeliest(source, row) {
    let best = -1;
    let most = 0;
    for (let c = 0; c < this.numClasses; c++) {
      const value = this.p[source][row * this.numClasses + c];
      if (value > most) [best, most] = [c, value];
    }
    return best;
  }

  // The face that was taken nearest to t, as a place in the sheet, or -1.
  faceNear(t) {
    const times = this.faces?.times ?? [];
    if (!times.length) return -1;
    const before = Math.max(0, placeOf(times, t));
    const after = Math.min(times.length - 1, before + 1);
    return Math.abs(times[after] - t) < Math.abs(times[before] - t) ? after : before;
  }
}

class Segments {
  constructor(facts) {
    Object.assign(this, arraysOf("segments-data", facts.layouts["segments-data"]));
    this.count = this.onset.length;
    this.ofPerson = facts.persons.map((_, place) => {
      const own = [];
      for (let i = 0; i < this.count; i++) if (this.person[i] === place) own.push(i);
      return own;
    });
    // Where a person's segments overlap, an earlier one may last longer: how long any of them so far does.
    this.lasting = this.ofPerson.map((own) => {
      let last = -Infinity;
      return Float64Array.from(own, (i) => (last = Math.max(last, this.offset[i])));
    });
  }

  // The segments of a person that hold t.
  at(place, t) {
    const own = this.ofPerson[place];
    let low = 0;
    let high = own.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.onset[own[middle]] <= t) low = middle + 1;
      else high = middle;
    }
    const found = [];
    for (let k = low - 1; k >= 0 && t < this.lasting[place][k]; k--) if (t < this.offset[own[k]]) found.push(own[k]);
    return found;
  }
}

function readTimeline() {
  const facts = JSON.parse($("#facts").textContent);
  clock.hours = facts.duration >= 3600;
  const persons = facts.persons.map((person, place) => new Person(place, person, facts));
  for (const [place, start, end, label] of facts.truth) persons[place].truth.push([start, end, facts.classes.indexOf(label), label]);
  return { ...facts, persons, segments: new Segments(facts) };
}
