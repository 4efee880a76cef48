// What the theme leaves out for keyboards and screen readers.
document.addEventListener("DOMContentLoaded", () => {
  for (const one of document.querySelectorAll("pre, .pst-scrollable-table-container")) {
    one.tabIndex = 0; // It may be wider than the page: arrows scroll it.
  }
  for (const button of document.querySelectorAll(".search-button-field")) {
    button.removeAttribute("aria-label"); // The name is what it shows.
  }
  const home = document.querySelector(".sidebar-primary-item:has(.navbar-brand)");
  home?.setAttribute("role", "navigation");
  home?.setAttribute("aria-label", "Home");
});
