// The reader's page: draws films from raw grey values, keys, drafts. Decisions travel as forms through htmx.
"use strict";
(() => {
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => Array.from(from.querySelectorAll(selector));
  // windows as shares of the stored range [centre, width]; "Stored" is the file's own
  const PRESETS = { 2: [0.35, 0.7], 3: [0.6, 0.5], 4: [0.75, 0.5] };
  let films = [];
  let at = 0;
  let ready = false; // every film was drawn, or there is none
  let since = 0; // when the film stood on the screen
  let busy = false;
  let step = 0;
  let draftTimer = 0;

  const item = () => $("#item[data-key]");

  class Film {
    constructor(canvas) {
      this.canvas = canvas;
      this.zoom = 1;
      this.x = this.y = 0;
    }

    async load() {
      const answer = await fetch(this.canvas.dataset.film, { credentials: "same-origin" });
      if (!answer.ok) throw new Error(await answer.text());
      const head = (name) => Number(answer.headers.get("X-Film-" + name));
      this.width = head("Width");
      this.height = head("Height");
      this.deep = head("Bits") === 16;
      this.first = { low: head("Low"), high: head("High"), inverted: head("Inverted") === 1 };
      const bytes = await answer.arrayBuffer();
      this.values = this.deep ? new Uint16Array(bytes) : new Uint8Array(bytes);
      if (this.values.length !== this.width * this.height) throw new Error("the film's size is wrong");
      let least = Infinity, most = -Infinity;
      for (const value of this.values) { if (value < least) least = value; if (value > most) most = value; }
      this.least = least;
      this.most = Math.max(most, least + 1);
      this.picture = new OffscreenCanvas(this.width, this.height);
      this.reset();
    }

    reset() {
      Object.assign(this, this.first, { zoom: 1, x: 0, y: 0 });
      this.render();
    }

    preset(number) {
      const range = this.most - this.least;
      const shares = PRESETS[number];
      if (!shares) Object.assign(this, { low: this.first.low, high: this.first.high });
      else {
        const centre = this.least + shares[0] * range;
        this.low = centre - (shares[1] * range) / 2;
        this.high = centre + (shares[1] * range) / 2;
      }
      this.render();
    }

    render() { // through a table of every grey value, into the picture at full resolution
      const table = new Uint8ClampedArray(this.deep ? 65536 : 256);
      const width = Math.max(1e-9, this.high - this.low);
      for (let value = 0; value < table.length; value++) {
        const shown = ((value - this.low) / width) * 255;
        table[value] = this.inverted ? 255 - Math.min(255, Math.max(0, shown)) : shown;
      }
      const context = this.picture.getContext("2d");
      const image = context.createImageData(this.width, this.height);
      const words = new Uint32Array(image.data.buffer);
      for (let i = 0; i < words.length; i++) {
        const grey = table[this.values[i]];
        words[i] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
      }
      context.putImageData(image, 0, 0);
      this.draw();
    }

    draw() {
      const canvas = this.canvas;
      if (canvas.hidden) return;
      const box = canvas.getBoundingClientRect();
      const ratio = window.devicePixelRatio || 1;
      canvas.width = Math.max(1, Math.round(box.width * ratio));
      canvas.height = Math.max(1, Math.round(box.height * ratio));
      const context = canvas.getContext("2d");
      const scale = Math.min(canvas.width / this.width, canvas.height / this.height) * this.zoom;
      context.imageSmoothingQuality = "high";
      context.translate(canvas.width / 2 + this.x * ratio, canvas.height / 2 + this.y * ratio);
      context.scale(scale, scale);
      context.drawImage(this.picture, -this.width / 2, -this.height / 2);
      canvas.dataset.drawn = "1";
    }

    follow() { // drag: level up and down, window left and right; with shift: move
      let from = null;
      this.canvas.addEventListener("pointerdown", (event) => {
        if (!this.values) return;
        from = { x: event.clientX, y: event.clientY, low: this.low, high: this.high, px: this.x, py: this.y };
        this.canvas.setPointerCapture(event.pointerId);
      });
      this.canvas.addEventListener("pointermove", (event) => {
        if (!from) return;
        const dx = event.clientX - from.x, dy = event.clientY - from.y;
        if (event.shiftKey) {
          this.x = from.px + dx;
          this.y = from.py + dy;
          this.draw();
          return;
        }
        const range = this.most - this.least;
        const width = Math.max(range / 256, from.high - from.low + (dx / 400) * range);
        const level = (from.high + from.low) / 2 + (dy / 400) * range;
        this.low = level - width / 2;
        this.high = level + width / 2;
        this.render();
      });
      const end = () => { from = null; };
      this.canvas.addEventListener("pointerup", end);
      this.canvas.addEventListener("pointercancel", end);
      this.canvas.addEventListener("wheel", (event) => {
        event.preventDefault();
        this.scale(event.deltaY < 0 ? 1.15 : 1 / 1.15);
      }, { passive: false });
    }

    scale(by) {
      this.zoom = Math.min(20, Math.max(0.2, this.zoom * by));
      this.draw();
    }
  }

  async function begin() {
    films = [];
    at = step = 0;
    ready = busy = false;
    const page = item();
    if (!page) return;
    const state = $("#film-state");
    const here = $$("canvas[data-film]", page).map((canvas) => new Film(canvas));
    films = here;
    try {
      for (const film of here) {
        film.follow();
        await film.load();
      }
      if (films !== here) return; // another candidate came meanwhile
      state.textContent = "";
      opened();
    } catch (error) {
      // without the film only "unsure" makes sense, and saying that the image is wrong
      state.textContent = "The film cannot be shown, so nothing can be decided but that it is unsure, or a tie.";
      opened(["unsure", "tie"]);
    }
  }

  function opened(allowed = null) {
    const wait = Number(item().dataset.min) * 1000;
    const page = item();
    since = performance.now();
    setTimeout(() => {
      if (item() !== page) return;
      ready = true;
      for (const button of $$("[data-decide]", page)) button.disabled = allowed !== null && !allowed.includes(button.dataset.decide);
    }, wait + 50);
  }

  function decide(what) {
    const button = $(`[data-decide="${what}"]`);
    const form = $("#decision");
    if (!ready || busy || !button || button.disabled) return;
    busy = true;
    form.elements.decision.value = what;
    form.elements.seconds.value = ((performance.now() - since) / 1000).toFixed(2);
    clearTimeout(draftTimer);
    form.requestSubmit();
  }

  function show(side) {
    films.forEach((film, i) => { film.canvas.hidden = !side && i !== at; });
    films.forEach((film) => film.values && film.draw());
    const number = $("#view-number");
    if (number) number.textContent = String(at + 1);
  }

  function edit(row) {
    const box = $(".edit", row);
    box.hidden = false;
    $("[data-do=edit]", row).setAttribute("aria-expanded", "true");
    const text = $("textarea", box);
    text.focus();
    text.setSelectionRange(text.value.length, text.value.length);
  }

  function focusStep(by) {
    const rows = $$(".step");
    if (!rows.length) return;
    step = Math.min(rows.length, Math.max(1, step + by));
    rows[step - 1].focus();
    rows[step - 1].scrollIntoView({ block: "nearest" });
  }

  function mark(name) {
    const box = $(`.step[data-step="${step}"] input[value="${name}"]`);
    if (!box) return;
    box.checked = !box.checked;
    draft();
  }

  function draft() {
    clearTimeout(draftTimer);
    const page = item();
    draftTimer = setTimeout(() => {
      if (!page || item() !== page || busy || page.classList.contains("pair")) return;
      fetch(`/item/${page.dataset.key}/draft`, { method: "POST", credentials: "same-origin", body: new URLSearchParams(new FormData($("#decision"))) });
    }, 500);
  }

  const film = () => films[at];
  const actions = {
    "zoom-in": () => film()?.scale(1.25),
    "zoom-out": () => film()?.scale(0.8),
    fit: () => film()?.reset(),
    invert: () => { const one = film(); if (one?.values) { one.inverted = !one.inverted; one.render(); } },
    "next-view": () => { if (films.length) { at = (at + 1) % films.length; show(false); } },
    side: () => show($$("canvas[data-film]:not([hidden])").length < films.length),
    help: () => $("#help").showModal(),
    undo: () => $("#undo")?.click(),
    explain: () => $$(".explained").forEach((text) => { text.hidden = !text.hidden; }),
  };
  const flag = (value) => { const list = $("#decision")?.elements.reference; if (list) { list.value = list.value === value ? "" : value; draft(); } };
  const keys = {
    a: () => decide("accept"), r: () => decide("reject"), u: () => decide("unsure"), z: actions.undo,
    ArrowLeft: () => decide("left"), ArrowRight: () => decide("right"), t: () => decide("tie"),
    j: () => focusStep(1), k: () => focusStep(-1), ArrowDown: () => focusStep(1), ArrowUp: () => focusStep(-1),
    g: () => mark("good"), w: () => mark("wrong"), n: () => mark("unneeded"),
    e: () => { const row = $(`.step[data-step="${step || 1}"]`); if (row) edit(row); },
    c: () => $("[name=comment]")?.focus(), b: () => flag("bad_report"), m: () => flag("wrong_image"),
    x: actions.explain, "+": actions["zoom-in"], "=": actions["zoom-in"], "-": actions["zoom-out"], 0: actions.fit,
    i: actions.invert, v: actions["next-view"], s: actions.side, "?": actions.help,
    1: () => film()?.preset(1), 2: () => film()?.preset(2), 3: () => film()?.preset(3), 4: () => film()?.preset(4),
  };

  document.addEventListener("keydown", (event) => {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return; // a held key decides once
    const target = event.target;
    const writes = target.matches("textarea, select, input:not([type=radio])");
    if (writes) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if ($("#help").open) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.decide) decide(button.dataset.decide);
    else if (button.dataset.preset) film()?.preset(Number(button.dataset.preset));
    else if (button.dataset.do === "edit") edit(button.closest(".step"));
    else if (button.dataset.do && button.dataset.do !== "undo") actions[button.dataset.do]?.();
  });
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest(".step");
    if (row) step = Number(row.dataset.step);
  });
  document.addEventListener("input", (event) => { if (event.target.closest("#decision")) draft(); });
  window.addEventListener("resize", () => films.forEach((one) => one.values && one.draw()));

  document.addEventListener("htmx:after:swap", (event) => {
    if (event.target.id === "main" || $("#main").contains(event.target) && !event.target.closest(".edit")) begin();
  });
  const failed = (text) => {
    busy = false;
    const problem = $("#problem");
    if (!problem) return;
    problem.textContent = text;
    problem.hidden = false;
  };
  document.addEventListener("htmx:before:swap", (event) => { // an error's page says what to do; the form stays
    const context = event.detail?.ctx;
    if (context?.response && context.response.status >= 400) {
      event.preventDefault();
      const page = new DOMParser().parseFromString(context.text ?? "", "text/html");
      failed(page.body.textContent.trim() || "The server could not take this.");
    }
  });
  document.addEventListener("htmx:error", () => failed("The server does not answer. Start it again; your text is still here."));

  document.addEventListener("DOMContentLoaded", begin);
})();
