// Command palette and keyboard shortcuts. Everything in the palette is also a link on some page.
(() => {
  const mac = /Mac|iPhone|iPad/.test(navigator.platform), inText = (it) => it.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
  const kept = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private window */ } };
  const find = document.querySelector("a[data-palette]");
  if (!find) return;
  const icons = find.querySelector("use").getAttribute("href").split("#")[0];
  document.querySelectorAll(".find kbd").forEach((it) => { it.textContent = mac ? "⌘K" : "Ctrl K"; });

  const make = (tag, told = {}, ...inside) => {
    const it = document.createElement(tag);
    for (const [name, value] of Object.entries(told)) if (value !== undefined && value !== "") it.setAttribute(name, value);
    it.append(...inside);
    return it;
  };
  const drawn = (name) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `${icons}#${name}`);
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    svg.append(use);
    return svg;
  };

  // --- recently opened records: stored as ids only; the server returns names of those that are still readable ---
  const at = location.pathname.match(/^\/desk\/([a-z_]+)\/(\d+)$/);
  const seen = (kept("seen") ?? "").split(",").filter(Boolean);
  const here = at ? `${at[1]}-${at[2]}` : "";
  if (here) keep("seen", [here, ...seen.filter((it) => it !== here)].slice(0, 8).join(","));
  document.querySelectorAll('a[href^="/logout"]').forEach((it) => it.addEventListener("click", () => keep("seen", "")));

  // --- entries that need no request ---
  const words = (it) => it.textContent.trim().replace(/\s+/g, " ");
  const drawing = (it) => it.querySelector("use")?.getAttribute("href").split("#")[1] ?? "square";
  const place = (it) => ({ title: words(it), also: it.dataset.also ?? "", more: it.dataset.within ?? it.closest("details")?.dataset.pack ?? "", icon: drawing(it), url: it.href });
  const elsewhere = document.getElementById("elsewhere")?.content.querySelectorAll("a") ?? [];
  const places = [...document.querySelectorAll(".side li a"), ...elsewhere].map(place);
  const adds = [...document.querySelectorAll("#adding a")].map((it) => ({ title: words(it), more: "", icon: "plus", url: it.href }));
  // Rank by title, then by synonyms, then by letters. tests/desk/test_palette.py has the same rules in Python.
  const fit = ({ title, also = "" }, asked) => {
    const text = title.toLowerCase(), all = `${text} ${also}`.split(/[\s/-]+/);
    if (text.startsWith(asked)) return 0;
    if (text.split(/\s+/).some((it) => it.startsWith(asked))) return 1;
    const said = asked.split(/\s+/);
    if (said.every((word) => all.includes(word))) return 2;
    if (said.every((word) => all.some((it) => it.startsWith(word)))) return 3;
    if (text.includes(asked)) return 4;
    let from = 0;
    for (const letter of asked) { from = text.indexOf(letter, from) + 1; if (!from) return 9; }
    return 5;
  };
  const best = (all, asked, most) => all.map((it) => [fit(it, asked), it]).filter(([how]) => how < (asked.length > 2 ? 9 : 5)).sort((a, b) => a[0] - b[0]).slice(0, most).map(([, it]) => it);

  // --- the palette ---
  const field = make("input", { type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "palette-list", "aria-autocomplete": "list", "aria-label": "Search or go to", placeholder: "Name, number or page…", maxlength: "100", autocomplete: "off", spellcheck: "false", id: "palette-words" });
  const list = make("div", { role: "listbox", id: "palette-list", "aria-label": "Results" });
  const said = make("p", { class: "unseen", role: "status" });
  const foot = make("p", { class: "keys", "aria-hidden": "true" }, make("span", {}, make("kbd", {}, "↑"), make("kbd", {}, "↓"), "select"), make("span", {}, make("kbd", {}, "↵"), "open"), make("span", {}, make("kbd", {}, "?"), "all shortcuts"), make("span", {}, make("kbd", {}, "esc"), "close"));
  const palette = make("dialog", { class: "palette", "aria-label": "Search everything" }, make("div", { class: "ask" }, drawn("search"), field), list, said, foot);
  document.body.append(palette);

  let groups = new Map(), chosen = 0, asking, waiting;
  const options = () => [...list.querySelectorAll("[role=option]")];
  const choose = (nth) => {
    const all = options();
    chosen = all.length ? (nth + all.length) % all.length : 0;
    all.forEach((it, at) => it.setAttribute("aria-selected", String(at === chosen)));
    if (all[chosen]) { field.setAttribute("aria-activedescendant", all[chosen].id); all[chosen].scrollIntoView({ block: "nearest" }); } else field.removeAttribute("aria-activedescendant");
  };
  const line = (it, nth) => {
    const text = make("span", { class: "text" }, make("strong", {}, it.title), it.more ? make("small", {}, it.more) : "");
    const option = make("div", { role: "option", id: `palette-${nth}`, "aria-selected": "false" }, drawn(it.icon), text, it.state ? make("span", { class: "badge" }, it.state) : "");
    option.dataset.url = it.url;
    return option;
  };
  const draw = () => {
    let nth = 0;
    const filled = [...groups].filter(([, its]) => its.length);
    list.replaceChildren(...filled.map(([label, its], at) => {
      const head = make("div", { class: "label", id: `palette-label-${at}`, role: "presentation" }, label);
      return make("div", { role: "group", "aria-labelledby": head.id }, head, ...its.map((it) => line(it, nth++)));
    }));
    said.textContent = nth ? `${nth} result${nth === 1 ? "" : "s"}` : "No results";
    choose(Math.min(chosen, Math.max(0, nth - 1)));
  };
  const local = (asked) => {
    groups = new Map([["Go to", asked ? best(places, asked, 5) : places.slice(0, 6)], ["Add", asked ? best(adds, asked, 3) : adds.slice(0, 4)]]);
  };
  const ask = async (address) => {
    asking?.abort();
    asking = new AbortController();
    palette.classList.add("is-asking");
    try {
      const answer = await fetch(address, { headers: { Accept: "application/json" }, signal: asking.signal });
      palette.classList.remove("is-asking");
      return answer.ok ? await answer.json() : null;
    } catch (no) {
      if (no.name !== "AbortError") palette.classList.remove("is-asking");
      return null;
    }
  };
  const typed = () => {
    const asked = field.value.trim(), low = asked.toLowerCase();
    clearTimeout(waiting);
    asking?.abort();
    const before = groups, wasFound = [...before].filter(([label]) => !["Go to", "Add", "Recent", "Search"].includes(label));
    local(low);
    if (asked.length < 2) { draw(); if (!asked) recent(); return; }
    const everything = { title: `Search everything for “${asked}”`, more: "", icon: "search", url: `${find.pathname}?q=${encodeURIComponent(asked)}` };
    const show = (found) => {
      const mine = best(places, low, 5).some((it) => fit(it, low) < 4);
      const [go, add] = [["Go to", groups.get("Go to")], ["Add", groups.get("Add")]];
      groups = new Map(mine ? [go, ...found, add, ["Search", [everything]]] : [...found, go, add, ["Search", [everything]]]);
      draw();
    };
    show(wasFound);
    waiting = setTimeout(async () => {
      const answer = await ask(`${find.pathname}?q=${encodeURIComponent(asked)}`);
      if (answer && field.value.trim() === asked) show(answer.groups.map((it) => [it.label, it.all ? [...it.hits, { title: `View all: ${it.label}`, more: "", icon: "arrow-right", url: it.all }] : it.hits]));
    }, 120);
  };
  const recent = async () => {
    const rows = (kept("seen") ?? "").split(",").filter((it) => it && it !== here);
    if (!rows.length) return;
    const answer = await ask(`${find.pathname}seen?rows=${rows.slice(0, 6).join(",")}`);
    if (!answer?.hits.length || field.value.trim()) return;
    groups = new Map([["Recent", answer.hits.map((it) => ({ ...it, more: [it.kind, it.more].filter(Boolean).join(" · ") }))], ...groups]);
    draw();
  };
  const go = (url, aside) => {
    if (aside) { open(url, "_blank", "noopener"); return; }
    palette.close();
    location.assign(url);
  };
  const openPalette = () => {
    if (palette.open || document.querySelector("dialog[open]")) return;
    document.querySelectorAll(":popover-open").forEach((it) => it.hidePopover());
    field.value = "";
    chosen = 0;
    palette.showModal();
    typed();
  };
  field.addEventListener("input", () => { chosen = 0; typed(); });
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); choose(chosen + (event.key === "ArrowDown" ? 1 : -1)); }
    if (event.key === "Enter") { event.preventDefault(); const it = options()[chosen]; if (it) go(it.dataset.url, event.ctrlKey || event.metaKey); }
    if (event.key === "?" && !field.value) { event.preventDefault(); palette.close(); sheet.showModal(); }
  });
  list.addEventListener("click", (event) => { const it = event.target.closest("[role=option]"); if (it) go(it.dataset.url, event.ctrlKey || event.metaKey); });
  list.addEventListener("pointermove", (event) => { const it = event.target.closest("[role=option]"); if (it && it.getAttribute("aria-selected") !== "true") choose(options().indexOf(it)); });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("a[data-palette]") || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    openPalette();
  });

  // --- list of shortcuts ---
  const keys = [
    [mac ? "⌘ K" : "Ctrl K", "Search everything"], ["/", "Search this list or everything"], ["n", "Add new"], ["e", "Edit record"],
    ["j", "Next row"], ["k", "Previous row"], ["x", "Select row"], ["Enter", "Open row"], ["?", "Show keyboard shortcuts"], ["Esc", "Close"],
  ];
  const single = make("input", { type: "checkbox", id: "single-keys" });
  single.checked = kept("keys") !== "off";
  single.addEventListener("change", () => keep("keys", single.checked ? "on" : "off"));
  const shut = make("button", { class: "tool", type: "button", "aria-label": "Close" }, drawn("x"));
  const sheet = make("dialog", { class: "keysheet", "aria-labelledby": "keysheet-title" },
    make("header", {}, make("h2", { id: "keysheet-title" }, "Keyboard shortcuts"), shut),
    make("dl", {}, ...keys.map(([key, does]) => make("div", {}, make("dt", {}, ...key.split(" ").map((it) => make("kbd", {}, it))), make("dd", {}, does)))),
    make("label", { class: "tick", for: "single-keys" }, single, "Enable single-letter shortcuts in this browser"));
  document.body.append(sheet);
  shut.addEventListener("click", () => sheet.close());
  for (const it of [palette, sheet]) it.addEventListener("click", (event) => { if (event.target === it) it.close(); });

  // --- shortcuts ---
  const rows = () => [...document.querySelectorAll("main tr[data-href]")].filter((it) => it.checkVisibility());
  const step = (by) => {
    const all = rows(), now = all.findIndex((it) => it.contains(document.activeElement));
    const next = all[now < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(now + by, 0), all.length - 1)];
    next?.querySelector("a")?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };
  const does = {
    "/": () => (document.querySelector("[data-search]") ? false : openPalette()),
    "?": () => sheet.showModal(),
    n: () => { const it = document.querySelector('.head a[href$="/new"]'); if (it) it.click(); else document.getElementById("adding")?.showPopover(); },
    e: () => document.querySelector('.head a[href$="/edit"]')?.click(),
    j: () => step(1),
    k: () => step(-1),
    x: () => document.activeElement.closest("tr[data-href]")?.querySelector("input[type=checkbox]")?.click(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "k" && (mac ? event.metaKey : event.ctrlKey) && !event.shiftKey && !event.altKey) { event.preventDefault(); if (palette.open) palette.close(); else openPalette(); return; }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || inText(event.target) || document.querySelector("dialog[open]") || !single.checked) return;
    const call = Object.hasOwn(does, event.key) ? does[event.key] : null;
    if (call && call() !== false) event.preventDefault();
  });
})();
