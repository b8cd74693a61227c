// The price follows what is ticked, and a coupon is tried without loading the page anew. Without this the same buttons do the same.
(function () {
  const form = document.querySelector("form[data-prices]");
  if (!form) return;
  let turn = 0;

  async function anew(button) {
    const mine = ++turn;
    const typed = new FormData(form);
    for (const [name, value] of [...typed]) if (value instanceof File) typed.delete(name); // a file is sent with the form, not with each look at the price
    typed.set("apply", button ? button.value : "extras");
    try {
      const answer = await fetch(form.action, { method: "POST", body: typed });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("price"), old = document.getElementById("price");
      if (!fresh) throw new Error("another page");
      if (mine !== turn) return;
      const here = old.contains(document.activeElement) && document.activeElement.id;
      // What somebody went on typing meanwhile is theirs.
      fresh.querySelector("#coupon").value = old.querySelector("#coupon").value;
      fresh.querySelector("details").open = old.querySelector("details").open;
      old.replaceWith(fresh);
      const wrong = fresh.querySelector("[aria-invalid]");
      const next = wrong || (here && document.getElementById(here)) || (button && button.value === "coupon" && fresh.querySelector("#coupon"));
      if (next) next.focus({ preventScroll: true });
      const said = document.getElementById("summary");
      if (said) said.remove();
    } catch {
      if (button) HTMLFormElement.prototype.submit.call(withButton(button));
    }
  }

  // submit() says nothing of the button that was pressed.
  function withButton(button) {
    const told = Object.assign(document.createElement("input"), { type: "hidden", name: button.name, value: button.value });
    form.append(told);
    return form;
  }

  form.addEventListener("change", (event) => { if (event.target.name === "extra") anew(null); });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("button[name=apply]");
    if (!button) return;
    event.preventDefault();
    anew(button);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.id !== "coupon") return;
    event.preventDefault();
    anew(form.querySelector("button[name=apply][value=coupon]"));
  });
})();
