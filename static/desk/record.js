// Record page: shortcuts to the previous and next record, and suggestions for mentions. Everything works without it.
(() => {
  // Remove the list from the address of the record.
  document.querySelectorAll("[data-link]").forEach((button) => button.addEventListener("click", async () => {
    const said = button.getAttribute("aria-label");
    try { await navigator.clipboard.writeText(button.dataset.link); } catch { prompt("Link", button.dataset.link); return; }
    button.setAttribute("aria-label", "Copied");
    button.title = "Copied";
    button.classList.add("is-plain");
    setTimeout(() => { button.setAttribute("aria-label", said); button.title = "Copy link"; button.classList.remove("is-plain"); }, 2000);
  }));

  // "[" and "]" open the previous and next record.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, [contenteditable]")) return;
    const there = { "[": "prev", "]": "next" }[event.key];
    if (there) document.querySelector(`.step [rel=${there}]`)?.click();
  });

  // After an @, suggest colleagues who may read the record.
  document.querySelectorAll("textarea[data-mentions]").forEach((text, nth) => {
    const list = document.createElement("ul");
    Object.assign(list, { id: `names-${nth}`, className: "names", hidden: true });
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Team members");
    text.after(list);
    text.setAttribute("aria-controls", list.id);
    let at = -1, waiting;
    const options = () => [...list.children];
    const close = () => { list.hidden = true; at = -1; text.removeAttribute("aria-activedescendant"); };
    const begun = () => text.value.slice(0, text.selectionStart).match(/(?:^|[^\w@.])@([\w.+-]*)$/);
    const mark = (to) => {
      at = (to + options().length) % options().length;
      options().forEach((it, i) => it.setAttribute("aria-selected", i === at));
      text.setAttribute("aria-activedescendant", options()[at].id);
    };
    const take = (it) => {
      const end = text.selectionStart, start = end - begun()[1].length;
      text.setRangeText(`${it.dataset.name} `, start, end, "end");
      close();
      text.focus();
    };
    text.addEventListener("input", () => {
      clearTimeout(waiting);
      const word = begun();
      if (!word) { close(); return; }
      waiting = setTimeout(async () => {
        const answer = await fetch(`${text.dataset.mentions}?q=${encodeURIComponent(word[1])}`, { headers: { Accept: "application/json" } });
        if (!answer.ok || begun()?.[1] !== word[1]) return;
        const found = (await answer.json()).choices;
        list.replaceChildren(...found.map((each, i) => {
          const it = document.createElement("li"), small = document.createElement("span");
          Object.assign(it, { id: `${list.id}-${i}`, textContent: each.name });
          Object.assign(small, { className: "faint", textContent: `@${each.username}` });
          it.append(small);
          it.dataset.name = each.username;
          it.setAttribute("role", "option");
          it.addEventListener("mousedown", (event) => { event.preventDefault(); take(it); });
          return it;
        }));
        list.hidden = !found.length;
        if (found.length) mark(0);
      }, 150);
    });
    text.addEventListener("blur", close);
    text.addEventListener("keydown", (event) => {
      if (list.hidden) return;
      const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
      if (to !== undefined) mark(to);
      else if (event.key === "Enter" || event.key === "Tab") take(options()[at]);
      else if (event.key === "Escape") close();
      else return;
      event.preventDefault();
    });
  });
})();
