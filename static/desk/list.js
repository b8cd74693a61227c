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

  // A question is put together where one is, line by line.
  const page = async (address) => new DOMParser().parseFromString(await (await fetch(address)).text(), "text/html").querySelector("[data-builder]");
  const again = async (form, submitter) => {
    const given = new FormData(form, submitter), focus = document.activeElement.id;
    if (!submitter) given.set("do", "look");
    const fresh = await page(`${form.action}?${new URLSearchParams(given)}`);
    if (!fresh) return;
    tidy(fresh);
    form.replaceWith(fresh);
    (fresh.querySelector(`#${CSS.escape(focus)}`) ?? [...fresh.querySelectorAll("select")].at(-1))?.focus();
  };
  const tidy = (root) => root.querySelectorAll("[data-without-script]").forEach((it) => { it.hidden = true; });
  tidy(document);
  document.addEventListener("change", (event) => {
    const form = event.target.closest("[data-builder]");
    if (form && /\.(column|how)$/.test(event.target.name)) again(form);
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-builder]")) return;
    if (event.submitter?.value === "show" && !event.target.closest("dialog")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.submitter?.value === "show") show(event.target, event.submitter);
    else again(event.target, event.submitter);
  }, true);
  const show = async (form, submitter) => {
    const answer = await fetch(`${form.action}?${new URLSearchParams(new FormData(form, submitter))}`);
    if (answer.ok) { location.assign(answer.url); return; }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-builder]");
    tidy(fresh);
    form.replaceWith(fresh);
    fresh.querySelector("[aria-invalid]")?.focus();
  };
  document.addEventListener("click", async (event) => {
    const shuts = event.target.closest("dialog [data-builder-shuts]"), opens = event.target.closest("[data-builder-opens]");
    if (shuts) { event.preventDefault(); shuts.closest("dialog").close(); return; }
    if (!opens || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const form = await page(opens.href);
    if (!form) { location.assign(opens.href); return; }
    tidy(form);
    const dialog = document.createElement("dialog");
    dialog.className = "asking";
    dialog.setAttribute("aria-label", form.getAttribute("aria-label"));
    dialog.append(form);
    dialog.addEventListener("close", () => { dialog.remove(); opens.focus(); });
    document.querySelectorAll("details.sift").forEach((it) => { it.open = false; });
    document.body.append(dialog);
    dialog.showModal();
  });
})();
