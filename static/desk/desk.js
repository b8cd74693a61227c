// Desk: shortcuts, linked rows, bulk selection, lookups, and protection of unsaved forms. Everything works without it.
(() => {
  const on = (what, call) => document.addEventListener(what, call);
  const inText = (it) => it.closest("input, textarea, select, [contenteditable]");

  // "/" focuses the search.
  on("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || inText(event.target)) return;
    const words = document.querySelector("[data-search]");
    if (!words) return;
    event.preventDefault();
    words.focus();
    words.select();
  });

  // Filters close on Escape and on a click outside.
  const panels = document.querySelectorAll("details.sift");
  on("click", (event) => panels.forEach((it) => { if (!it.contains(event.target)) it.open = false; }));
  on("keydown", (event) => {
    if (event.key !== "Escape") return;
    panels.forEach((it) => { if (it.open) { it.open = false; it.querySelector("summary").focus(); } });
  });
  // Leave empty fields out of the address.
  on("submit", (event) => {
    if (event.target.matches("form[method=get]")) event.target.querySelectorAll("input, select").forEach((it) => { if (!it.value) it.disabled = true; });
  });
  addEventListener("pageshow", () => document.querySelectorAll("form[method=get] :disabled").forEach((it) => { it.disabled = false; }));

  // Scroll the menu to the current page.
  const here = document.querySelector(".side [aria-current]"), side = here?.closest(".side");
  if (side && here.offsetTop > side.clientHeight - 200) side.scrollTop = here.offsetTop - side.clientHeight / 2;

  // A row is a link, but its text can be selected.
  on("click", (event) => {
    const row = event.target.closest("tr[data-href]");
    if (!row || event.target.closest("a, button, input, label") || String(getSelection())) return;
    if (event.ctrlKey || event.metaKey) open(row.dataset.href, "_blank", "noopener");
    else location.assign(row.dataset.href);
  });

  // Select all rows, and show the number.
  document.querySelectorAll("form[data-rows]").forEach((form) => {
    const all = form.querySelector("[data-all]"), said = form.querySelector("[data-chosen]");
    const boxes = [...form.querySelectorAll("tbody input[type=checkbox]")];
    if (!all || !boxes.length) return;
    let last = null;
    const count = () => {
      const chosen = boxes.filter((it) => it.checked).length;
      all.checked = chosen === boxes.length;
      all.indeterminate = chosen > 0 && !all.checked;
      said.textContent = chosen;
    };
    all.closest("label").hidden = false;
    all.addEventListener("change", () => { boxes.forEach((it) => { it.checked = all.checked; }); count(); });
    boxes.forEach((box, at) => {
      box.addEventListener("click", (event) => {
        if (event.shiftKey && last !== null) boxes.slice(Math.min(last, at), Math.max(last, at) + 1).forEach((it) => { it.checked = box.checked; });
        last = at;
      });
      box.addEventListener("change", count);
    });
    form.querySelector("[data-none]")?.addEventListener("click", () => { boxes.forEach((it) => { it.checked = false; }); count(); });
    count();
  });

  // Look up related records while typing.
  document.querySelectorAll("input[data-choices]").forEach((input) => {
    let waiting, asked = input.value;
    input.addEventListener("input", () => {
      clearTimeout(waiting);
      const words = input.value.trim();
      if (words === asked || words.includes("·")) return;
      waiting = setTimeout(async () => {
        asked = words;
        const answer = await fetch(`${input.dataset.choices}?q=${encodeURIComponent(words)}`, { headers: { Accept: "application/json" } });
        if (!answer.ok || input.value.trim() !== words) return;
        input.list.replaceChildren(...(await answer.json()).choices.map((it) => new Option("", `${it.id} · ${it.name}`)));
      }, 200);
    });
  });

  // Suggest the time zones that the browser knows.
  document.querySelectorAll("input[data-zones]").forEach((input) => {
    if (!Intl.supportedValuesOf) return;
    const list = document.createElement("datalist");
    list.id = `${input.id}-zones`;
    list.append(...Intl.supportedValuesOf("timeZone").map((zone) => new Option("", zone)));
    input.after(list);
    input.setAttribute("list", list.id);
  });

  // Submit a form once, and warn before leaving a changed one.
  on("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    form.dataset.sent = "yes";
    setTimeout(() => form.querySelectorAll("button:not([type=button])").forEach((it) => { it.disabled = true; }));
  });
  addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => {
    delete form.dataset.sent;
    form.querySelectorAll("button").forEach((it) => { it.disabled = false; });
  }));
  document.querySelectorAll("form[data-keep]").forEach((form) => {
    let touched = false;
    form.addEventListener("input", () => { touched = true; });
    addEventListener("beforeunload", (event) => { if (touched && !form.dataset.sent) event.preventDefault(); });
    form.addEventListener("submit", () => sessionStorage.setItem("typed", JSON.stringify([location.pathname, [...new FormData(form)].filter(([name, it]) => typeof it === "string" && !["csrf_token", "version", "was"].includes(name))])));
  });

  // Keep what was typed if the session has ended: it is restored on the same form, and dropped on any other page.
  const back = document.querySelector("form[data-keep]"), [path, typed] = JSON.parse(sessionStorage.getItem("typed") ?? "[]");
  if (!location.pathname.startsWith("/login")) sessionStorage.removeItem("typed");
  if (back && path === location.pathname && new URL(document.referrer || location).pathname.startsWith("/login")) {
    typed.forEach(([name, it]) => {
      const field = back.elements[name];
      if (field?.type === "checkbox") field.checked = true; else if (field && "value" in field) field.value = it;
    });
    back.dispatchEvent(new Event("input"));
    const told = Object.assign(document.createElement("p"), { className: "notice is-warn", textContent: "You were signed out before this was saved. Your entries have been restored: review and save them." });
    told.setAttribute("role", "status");
    back.before(told);
  }

  // A wide table scrolls within its container, with a fixed first column.
  const sheets = document.querySelectorAll(".sheet:not([class*=' is-'])");
  const fit = () => sheets.forEach((it) => {
    it.classList.remove("is-wide");
    it.classList.toggle("is-wide", it.scrollWidth > it.clientWidth + 1);
  });
  addEventListener("resize", fit);
  fit();

  // Show dependent fields only for their choice; hidden ones are not submitted.
  document.querySelectorAll("form:has([data-only])").forEach((form) => {
    const fit = () => form.querySelectorAll("[data-only]").forEach((part) => {
      part.hidden = !part.dataset.for.split(" ").includes(form.elements[part.dataset.only].value);
      part.querySelectorAll("input, select, textarea").forEach((it) => { it.disabled = part.hidden; });
    });
    form.addEventListener("input", fit);
    fit();
  });

  // Copy an address, and confirm it on the button.
  document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy), said = button.textContent;
    field.select();
    try { await navigator.clipboard.writeText(field.value); } catch { document.execCommand("copy"); }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = said; }, 2000);
  }));

  document.querySelector("[data-print]")?.addEventListener("click", () => print());
  document.querySelectorAll("[data-with-script]").forEach((it) => { it.hidden = false; });
})();
