// Links to the addresses in a title, beside it, as a click on the title edits.

/** Show the links of a title in an element. */
export function drawLinks(element, title) {
  const found = title.match(/\bhttps?:\/\/[^\s<>"]*[^\s<>".,;:!?)\]]/g) ?? [];
  const links = found.filter((href) => URL.canParse(href)).map((href) => {
    const link = Object.assign(document.createElement("a"), { href, target: "_blank" });
    link.rel = "noopener noreferrer";
    link.textContent = `${link.hostname}\u00a0↗`;
    return link;
  });
  element.replaceChildren(...links);
}
