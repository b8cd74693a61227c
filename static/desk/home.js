// Start page: loads slow figures after the page.
(() => {
  document.querySelectorAll("[data-late]").forEach(async (place) => {
    const without = [...place.childNodes];
    place.classList.add("is-coming");
    place.setAttribute("aria-busy", "true");
    place.replaceChildren(...Array.from({ length: 4 }, () => document.createElement("span")));
    try {
      const answer = await fetch(place.dataset.late, { headers: { Accept: "text/html" } });
      if (!answer.ok || answer.redirected) throw new Error();
      place.replaceChildren(...new DOMParser().parseFromString(await answer.text(), "text/html").body.childNodes);
    } catch {
      place.replaceChildren(...without);
    }
    place.classList.remove("is-coming");
    place.removeAttribute("aria-busy");
  });
})();
