// Form designer: shows the fields of the chosen kind of answer, and previews the form.
(() => {
  const question = document.getElementById("question"), look = document.getElementById("look");
  if (!question || !look) return;
  const fit = () => {
    for (const each of question.querySelectorAll("[data-for]")) each.hidden = !each.dataset.for.split(" ").includes(question.elements.kind.value);
  };
  const show = () => {
    look.querySelectorAll("[data-typed]").forEach((each) => each.remove());
    for (const [name, value] of new FormData(question)) {
      if (name === "csrf_token") continue;
      const typed = Object.assign(document.createElement("input"), { type: "hidden", name, value });
      typed.dataset.typed = "";
      look.append(typed);
    }
    look.submit();
  };
  let waiting;
  question.addEventListener("input", () => { fit(); clearTimeout(waiting); waiting = setTimeout(show, 600); });
  question.querySelector("[data-look]").addEventListener("click", (event) => { event.preventDefault(); show(); });
  fit();
})();
