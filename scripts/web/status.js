const rows = document.querySelector("tbody")
const state = document.querySelector("output")
const events = new EventSource("/status/events")

function cell(row, text, name) {
  const one = row.insertCell()
  one.textContent = text
  one.className = name || ""
}

events.onopen = () => { state.textContent = "Connected." }
events.onerror = () => { state.textContent = "Not connected; trying again …" }
events.addEventListener("request", event => {
  const request = JSON.parse(event.data), row = rows.insertRow(0)
  cell(row, new Date(request.time * 1000).toLocaleTimeString(), "extra")
  cell(row, request.method)
  cell(row, request.path, "path")
  cell(row, request.status, request.status >= 400 ? "bad" : "good")
  cell(row, request.bytes.toLocaleString(), "number extra")
  while (rows.rows.length > 50) rows.deleteRow(50)
})
