// List: column order, filter builder and inline editing. Everything works without it.
(() => {
  // Move columns in the menu without a reload; “Apply” loads the list.
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

  // Edit the filter builder in place.
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

  // Edit a cell in place: by double click, its pencil, or F2 on the name of the row.
  const pen = Object.assign(document.createElement("button"), { type: "button", className: "pen tool", tabIndex: -1, title: "Edit (F2)" });
  pen.innerHTML = '<svg class="icon" aria-hidden="true" focusable="false"><use/></svg><span class="unseen">Edit</span>';
  const sign = document.querySelector(".icon use")?.getAttribute("href")?.split("#")[0];
  pen.querySelector("use").setAttribute("href", `${sign}#pencil`);
  document.addEventListener("pointerover", (event) => {
    const cell = event.target.closest?.("[data-cell]");
    if (cell && cell !== pen.parentElement && !cell.querySelector("form")) cell.append(pen);
  });
  pen.addEventListener("click", (event) => { event.preventDefault(); event.stopPropagation(); open(pen.parentElement); });
  document.addEventListener("dblclick", (event) => {
    const cell = event.target.closest("[data-cell]");
    if (cell && !event.target.closest("form.cell")) open(cell);
  });
  // Wait before following the link of an editable cell: the click may be the first of a double click.
  let waiting;
  document.addEventListener("click", (event) => {
    const cell = event.target.closest("[data-cell]");
    if (!cell || event.target.closest("a, button, input, label, form.cell")) { if (event.target.closest("form.cell")) return; clearTimeout(waiting); return; }
    event.stopPropagation();
    clearTimeout(waiting);
    if (event.detail > 1 || String(getSelection())) return;
    const href = cell.closest("tr").dataset.href, apart = event.ctrlKey || event.metaKey;
    waiting = setTimeout(() => { if (apart) window.open(href, "_blank", "noopener"); else location.assign(href); }, 260);
  }, true);
  document.addEventListener("keydown", (event) => {
    const form = event.target.closest("form.cell");
    if (form && event.key === "Escape") { event.preventDefault(); event.stopPropagation(); leave(form); }
    if (event.key !== "F2" || form) return;
    const cell = event.target.closest("[data-cell]") ?? event.target.closest("tr[data-cells]")?.querySelector("[data-cell]");
    if (cell) { event.preventDefault(); open(cell); }
  });

  const open = async (cell) => {
    clearTimeout(waiting);
    getSelection()?.removeAllRanges();
    document.querySelectorAll("form.cell").forEach(leave);
    pen.remove();
    const row = cell.closest("tr");
    const answer = await fetch(`${row.dataset.cells}${cell.dataset.cell}`);
    if (!answer.ok || answer.redirected) { location.assign(`${row.dataset.href}/edit`); return; }
    const form = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("form.cell");
    const panel = document.createElement("div");
    panel.className = "cell-panel";
    panel.append(form);
    // Forms cannot be nested, so the form of the cell is outside the form of the list, positioned over the cell.
    document.querySelector("main").append(panel);
    const place = () => {
      const at = cell.getBoundingClientRect();
      panel.style.left = `${Math.max(8, Math.min(at.left, innerWidth - panel.offsetWidth - 8)) + scrollX}px`;
      panel.style.top = `${at.top + scrollY - 4}px`;
    };
    place();
    form.of = cell;
    form.place = place;
    cell.classList.add("is-open");
    form.querySelector(".control, input[type=checkbox]")?.focus();
    form.querySelector("input.control")?.select?.();
  };
  addEventListener("resize", () => document.querySelectorAll("form.cell").forEach((it) => it.place?.()));
  const leave = (form) => {
    const cell = form.of;
    form.parentElement.remove();
    cell.classList.remove("is-open");
    (cell.closest("tr").querySelector("th a") ?? cell).focus();
  };
  document.addEventListener("click", (event) => { const away = event.target.closest("[data-leave]"); if (away) leave(away.closest("form.cell")); });
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("form.cell");
    if (!form) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const wrong = form.querySelector("[data-refusal]"), button = form.querySelector("button");
    button.disabled = true;
    let now;
    try {
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
      now = await answer.json();
    } catch { now = { refusal: "Your change was not saved. Please try again." }; }
    button.disabled = false;
    const no = now.refusal ?? now.error?.message;
    if (now.said !== undefined) write(form.of, now.said);
    if (now.version) form.elements.version.value = now.version;
    if (!no) { leave(form); return; }
    wrong.textContent = now.said === undefined ? no : `${no} Current value: ${now.said}`;
    wrong.hidden = false;
    form.querySelector(".control")?.focus();
  }, true);
  const write = (cell, said) => {
    const inside = cell.querySelector("a, .clip") ?? cell;
    inside.textContent = said;
    cell.classList.toggle("none", said === "–");
  };
})();
