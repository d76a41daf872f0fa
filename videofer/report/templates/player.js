// One clock in media seconds: that of the video, or our own where there is none.
class Player extends Signals {
  #video = $("#video");
  #at = 0; // where the clock stands while it does not run; with a video also where a seek is going
  #since = 0;
  #running = false;
  #rate = 1;
  #pending = null;

  constructor(duration) {
    super();
    this.duration = duration;
    const video = this.#video;
    if (!video) return;
    for (const name of ["play", "pause", "ended"]) video.addEventListener(name, () => this.#changed());
    video.addEventListener("pause", () => {
      if (this.#pending === null && !video.seeking) this.#at = video.currentTime;
    });
    video.addEventListener("seeked", () => this.#seekOn());
    video.addEventListener("volumechange", () => this.emit("state"));
    video.addEventListener("loadedmetadata", () => {
      if (this.#at) this.seek(this.#at);
      this.emit("time");
    });
  }

  get hasVideo() {
    return Boolean(this.#video?.src) && !this.#video.error;
  }

  get playing() {
    return this.hasVideo ? !this.#video.paused && !this.#video.ended : this.#running;
  }

  // Whether the video is still on its way to where the clock stands.
  get isSeeking() {
    return this.#pending !== null || Boolean(this.#video?.seeking);
  }

  get time() {
    if (this.hasVideo && this.playing && !this.isSeeking) return clamp(this.#video.currentTime, 0, this.duration);
    if (!this.hasVideo && this.#running) return Math.min(this.duration, this.#at + ((performance.now() - this.#since) / 1000) * this.#rate);
    return this.#at;
  }

  // While a seek is under way the last wish waits: a dragged cursor asks more often than pictures come.
  seek(t) {
    this.#at = clamp(t, 0, this.duration);
    this.#since = performance.now();
    if (this.hasVideo && this.#video.readyState > 0) {
      if (this.#video.seeking) this.#pending = this.#at;
      else this.#go(this.#at);
    }
    this.emit("time");
  }

  #go(t) {
    const end = Number.isFinite(this.#video.duration) ? this.#video.duration : this.duration;
    this.#video.currentTime = Math.min(t, end);
  }

  #seekOn() {
    const t = this.#pending;
    this.#pending = null;
    if (t !== null) this.#go(t);
    this.emit("time");
  }

  async play() {
    if (this.time >= this.duration - 1e-3) this.seek(0);
    if (this.hasVideo) {
      try {
        await this.#video.play();
      } catch {
        this.#changed(); // paused again before it began
      }
      return;
    }
    this.#since = performance.now();
    this.#running = true;
    this.#changed();
  }

  pause() {
    if (this.hasVideo) {
      this.#at = this.time;
      this.#video.pause();
      return;
    }
    this.#at = this.time;
    this.#running = false;
    this.#changed();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  set rate(value) {
    this.#at = this.time;
    this.#since = performance.now();
    this.#rate = value;
    if (this.#video) this.#video.playbackRate = value;
  }

  get muted() {
    return Boolean(this.#video?.muted);
  }

  set muted(value) {
    if (this.#video) this.#video.muted = value;
  }

  #changed() {
    this.emit("state");
    if (this.playing) this.#tick();
    else this.emit("time");
  }

  #ticking = false;
  #tick() {
    if (this.#ticking) return;
    this.#ticking = true;
    const step = () => {
      this.emit("time");
      if (!this.hasVideo && this.#running && this.time >= this.duration) this.pause();
      this.#ticking = this.playing;
      if (this.#ticking) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }
}

// Gives the <video> its film, and says so where there is none to be had.
function openFilm(facts, player) {
  const video = $("#video");
  if (!video) return;
  const note = $("#video-note");
  video.addEventListener("error", () => {
    const missing = facts.video.kind === "linked" ? `The video is not where it was: ${decodeURIComponent(facts.video.address)}` : "This browser cannot play the video.";
    $("p", note).textContent = missing;
    note.hidden = false;
    player.emit("state");
  });
  video.addEventListener("loadeddata", () => (note.hidden = true));
  $("#find").addEventListener("change", ({ target }) => {
    if (target.files.length) video.src = URL.createObjectURL(target.files[0]);
  });
  if (facts.video.kind === "linked") video.src = facts.video.address;
  else video.src = URL.createObjectURL(new Blob([bytesOf("film")], { type: facts.video.mime }));
}
