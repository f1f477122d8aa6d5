// A page that was opened from a disk may load neither modules nor networks: it says so, and what to do.

if (location.protocol === "file:") {
  document.getElementById("run").textContent = "This page needs a web server";
  const told = document.getElementById("error");
  told.textContent =
    "Browsers do not let a page that was opened from a disk load its networks. Put the folder on any static host, " +
    "or run “python -m http.server” in it and open http://localhost:8000/";
  told.hidden = false;
  document.querySelector(".studio").hidden = true;
}
