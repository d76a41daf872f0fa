// Which stretch of the video the lanes show, and how seconds and pixels go together.
class View extends Signals {
  constructor(duration, hop) {
    super();
    this.duration = Math.max(duration, 1e-3);
    this.least = Math.min(this.duration, Math.max(8 * hop, 1)); // seconds, the furthest zoom
    this.t0 = 0;
    this.t1 = this.duration;
    this.width = 800;
  }

  get span() {
    return this.t1 - this.t0;
  }
  get secondsPerPixel() {
    return this.span / this.width;
  }
  get isWhole() {
    return this.span >= this.duration - 1e-9;
  }
  x(t) {
    return ((t - this.t0) / this.span) * this.width;
  }
  t(x) {
    return this.t0 + (x / this.width) * this.span;
  }

  show(t0, span) {
    span = clamp(span, this.least, this.duration);
    t0 = clamp(t0, 0, this.duration - span);
    if (t0 === this.t0 && Math.abs(t0 + span - this.t1) < 1e-12) return;
    this.t0 = t0;
    this.t1 = span === this.duration ? this.duration : t0 + span;
    this.emit("change");
  }
  // factor below 1 zooms in; the time `around` stays where it is.
  zoom(factor, around) {
    const span = clamp(this.span * factor, this.least, this.duration);
    this.show(around - ((around - this.t0) / this.span) * span, span);
  }
  pan(seconds) {
    this.show(this.t0 + seconds, this.span);
  }
  fit() {
    this.show(0, this.duration);
  }
  // Bring t into sight: turn the page where a playing cursor leaves it, else centre.
  follow(t, playing) {
    if (t >= this.t0 && t <= this.t1 - (playing ? 0.03 : 0) * this.span) return;
    this.show(playing && t > this.t0 ? t - 0.08 * this.span : t - this.span / 2, this.span);
  }
}

// Round steps for an axis: seconds between labels, so that each has room.
function axisStep(secondsPerPixel, room) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
  return steps.find((step) => step / secondsPerPixel >= room) ?? 28800;
}
