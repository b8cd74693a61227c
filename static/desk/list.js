// Makes lists quicker to work in; everything works without it.
(() => {
  // A column moves to the front where it stands, and is shown when all of them are right.
  document.querySelectorAll("[data-columns]").forEach((list) => {
    list.addEventListener("click", (event) => {
      const up = event.target.closest("button[name=up]");
      if (!up) return;
      event.preventDefault();
      const here = up.closest("li");
      here.previousElementSibling?.before(here);
      up.focus();
    });
    list.addEventListener("change", (event) => { event.target.closest("li").querySelector("button").hidden = !event.target.checked; });
  });
})();
