const text = document.querySelector("textarea")
const state = document.querySelector("output")
const me = crypto.getRandomValues(new Uint32Array(2)).join("-")
let socket, patience = 500

function show(message) {
  if (message.by === me) return
  const from = text.selectionStart, to = text.selectionEnd
  text.value = message.text
  text.setSelectionRange(from, to)
}

function connect() {
  socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/board`)
  socket.onopen = () => {
    patience = 500
    text.disabled = false
    state.textContent = "Connected."
  }
  socket.onmessage = event => show(JSON.parse(event.data))
  socket.onclose = () => {
    text.disabled = true
    state.textContent = "Not connected; trying again …"
    setTimeout(connect, patience)
    patience = Math.min(2 * patience, 20000)
  }
}

text.addEventListener("input", () => socket.send(JSON.stringify({ by: me, text: text.value })))
connect()
