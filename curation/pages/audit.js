
// The audit page's own: what is chosen in a plot filters the examples; `t` goes to the top. The rest is review.js.
(() => {
  const code = document.getElementById("code");
  const examples = document.getElementById("examples");

  function choose(target) {
    const line = target.closest("[data-code]");
    if (!line) return false;
    const known = Array.from(code.options).some((option) => option.value === line.dataset.code);
    if (!known) return false;
    code.value = line.dataset.code;
    code.dispatchEvent(new Event("change"));
    examples.scrollIntoView({ block: "start" });
    return true;
  }

  document.querySelector(".plots").addEventListener("click", (event) => choose(event.target));
  document.querySelector(".plots").addEventListener("keydown", (event) => {
    if ((event.key === "Enter" || event.key === " ") && choose(event.target)) event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "t" && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest("input, select")) {
      scrollTo({ top: 0 });
    }
  });
})();
