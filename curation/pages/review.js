// Filters, order, search and keys of the review page. Reads the page's own text; writes `hidden`, the order, the count.
"use strict";
(() => {
  const cards = Array.from(document.querySelectorAll("article"));
  const buttons = Array.from(document.querySelectorAll("button[data-show]"));
  const code = document.getElementById("code");
  const author = document.getElementById("author");
  const search = document.getElementById("search");
  const order = document.getElementById("order"); // where a student's losses are known
  const count = document.getElementById("count");
  let show = "";
  let texts = null; // lower case, made at the first search
  let at = -1;

  const holds = (list, value) => !value || (list || "").includes("|" + value + "|");
  const fits = (status) => !show || status === show || (show === "accepted" && status === "repaired");

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length && !texts) texts = cards.map((card) => card.textContent.toLowerCase());
    let shown = 0;
    cards.forEach((card, i) => {
      const data = card.dataset;
      const ok = fits(data.status) && holds(data.codes, code.value) && holds(data.authors, author.value)
        && words.every((word) => texts[i].includes(word));
      card.hidden = !ok;
      shown += ok ? 1 : 0;
    });
    count.textContent = shown.toLocaleString("en") + " shown";
    document.getElementById("none").hidden = shown > 0 || cards.length === 0;
  }

  function sort() {
    const end = cards[cards.length - 1].nextSibling;
    const place = (card) => (order.value ? Number(card.dataset.rank || Infinity) : 0);
    cards.sort((a, b) => place(a) - place(b) || Number(a.id.slice(1)) - Number(b.id.slice(1)));
    cards.forEach((card) => card.parentNode.insertBefore(card, end));
    texts = null;
    at = -1;
    filter();
  }

  function choose(value) {
    show = value;
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.show === show)));
    filter();
  }

  function go(step) {
    let next = at + step;
    while (next >= 0 && next < cards.length && cards[next].hidden) next += step;
    if (next < 0 || next >= cards.length) return;
    at = next;
    cards[at].focus({ preventScroll: true });
    cards[at].scrollIntoView({ block: "start" });
  }

  function all() {
    search.value = code.value = author.value = "";
    choose("");
  }

  buttons.forEach((button) => button.addEventListener("click", () => choose(button.dataset.show)));
  [code, author].forEach((select) => select.addEventListener("change", filter));
  author.hidden = author.options.length < 3; // one author: nothing to choose
  if (order && cards.length) {
    order.addEventListener("change", sort);
    if (order.value) sort();
  }
  search.addEventListener("input", filter);
  document.querySelector("main").addEventListener("focusin", (event) => {
    const card = event.target.closest("article");
    if (card) at = cards.indexOf(card);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      all();
      search.blur();
      return;
    }
    if (event.target.closest("input, select")) return;
    if (event.key === "j") go(1);
    else if (event.key === "k") go(-1);
    else if (event.key === "/") {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });
  addEventListener("beforeprint", () => document.querySelectorAll("details.attempt").forEach((part) => { part.open = true; }));
  filter(); // a browser may have kept what was typed before a reload
})();
