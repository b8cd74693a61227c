// A question that depends on another one is there only while it is asked. Without this all are there, with a word on when each is asked.
(() => {
  const told = (name) => [...document.getElementsByName(name)]
    .filter((each) => !each.disabled && (each.checked || !["radio", "checkbox"].includes(each.type)))
    .map((each) => each.value);
  const look = () => {
    for (const each of document.querySelectorAll("[data-if]")) {
      const asked = told(each.dataset.if).includes(each.dataset.equals);
      each.hidden = !asked;
      for (const field of each.querySelectorAll("input, select, textarea")) {
        field.disabled = !asked;
        if ("required" in field.dataset) field.required = asked;
      }
    }
  };
  for (const each of document.querySelectorAll("[data-when]")) each.hidden = true;
  document.addEventListener("change", look);
  look();
})();
