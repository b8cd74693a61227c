// While somebody waits on the line, the page looks things up by itself; the buttons do the same without.
(() => {
  const form = document.querySelector("[data-call]");
  if (!form) return;
  form.classList.add("is-live");
  const parts = ["people", "times", "asked", "price"];
  let waiting, asked = 0;

  const look = async () => {
    const mine = ++asked, told = new FormData(form);
    for (const [name, value] of [...told]) if (value instanceof File) told.delete(name);
    told.set("look", "again");
    let answer;
    try { answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(told) }); } catch { return; }
    if (mine !== asked || !(answer.headers.get("Content-Type") || "").startsWith("text/html")) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== asked) return;
    const here = document.activeElement;
    parts.forEach((id) => {
      const now = document.getElementById(id), then = page.getElementById(id);
      if (!now || !then || now.innerHTML === then.innerHTML) return;
      const at = now.contains(here) ? [here.name, here.value] : null;
      now.replaceWith(then);
      if (at) [...then.querySelectorAll("input, select, textarea")].find((it) => it.name === at[0] && it.value === at[1])?.focus();
    });
  };
  form.addEventListener("input", (event) => {
    if (event.target.id !== "q") return;
    clearTimeout(waiting);
    waiting = setTimeout(look, 250);
  });
  form.addEventListener("change", (event) => { if (event.target.matches("[data-looks]:not(#q)")) look(); });
})();
