// Automation editor: updates the form and its sentence without a reload. Without this script, each button reloads the page.
(() => {
  const tidy = (root) => root.querySelectorAll("[data-without-script]").forEach((it) => { it.hidden = true; });
  tidy(document);
  let asked = 0, down = false, waiting = [];
  // A response is applied after a click in progress, so that buttons do not move under the pointer.
  const released = () => new Promise((go) => { if (down) waiting.push(go); else go(); });
  document.addEventListener("pointerdown", () => { down = true; }, true);
  for (const up of ["pointerup", "pointercancel"]) {
    document.addEventListener(up, () => setTimeout(() => { down = false; waiting.splice(0).forEach((go) => go()); }), true);
  }
  const ask = async (given, submitter) => {
    if (!submitter) given.set("do", "look");
    const answer = await fetch(location.href, { method: "POST", body: new URLSearchParams(given) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html"), says = page.querySelector("[data-says]");
    await released();
    if (says) document.querySelector("[data-says]").textContent = says.textContent;
    return [answer, page];
  };
  const again = async (form, submitter) => {
    const given = new FormData(form, submitter), mine = ++asked;
    const [answer, page] = await ask(given, submitter), fresh = page.querySelector("[data-sentence]");
    if (mine !== asked) return;
    if (!fresh || answer.redirected) { location.reload(); return; }
    tidy(fresh);
    // Keep what was typed or chosen during the request.
    for (const it of form.querySelectorAll(".control")) {
      const there = it.id && fresh.querySelector(`#${CSS.escape(it.id)}`);
      const fits = there && (!there.options || [...there.options].some((each) => each.value === it.value));
      if (fits && given.get(it.name) !== it.value) there.value = it.value;
    }
    const focus = document.activeElement?.id, [verb] = (submitter?.value ?? "").split(":");
    form.replaceWith(fresh);
    const made = { step: ".steps > li:last-child .control", or: ".builder .group:last-of-type .control" }[verb];
    (fresh.querySelector(made ?? `#${CSS.escape(focus || "f-noun")}`) ?? fresh.querySelector("#f-noun")).focus();
  };
  document.addEventListener("change", (event) => {
    const form = event.target.closest("[data-sentence]");
    if (!form) return;
    if (event.target.name === "noun" || /\.(column|how)$/.test(event.target.name)) again(form);
    else if (event.target.name !== "name") ask(new FormData(form));
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-sentence]") || !event.submitter || event.submitter.value === "save") return;
    event.preventDefault();
    again(event.target, event.submitter);
  }, true);
})();
