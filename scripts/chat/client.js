"use strict"
// The page of scripts/chat.lua: what the server says is drawn, what is typed is sent. No text from others ever
// becomes HTML.

const LINES_MOST = 500
const WAIT_MOST = 30 // seconds between two attempts to connect

const $ = id => document.getElementById(id)
const rooms = new Map() // name → { name, lines, names, topic, unread }; private talks are rooms of their own
let socket, nick, password, current, attempts = 0, isIn = false

const fold = name => name.replace(/[A-Z]/g, letter => letter.toLowerCase())

function element(tag, text, className) {
  const made = document.createElement(tag)
  made.textContent = text
  if (className) made.className = className
  return made
}

function send(act, fields) {
  if (socket && socket.readyState === WebSocket.OPEN) {
    socket.send(JSON.stringify({ act, ...fields }))
    return true
  }
  return false
}

function open(name) {
  const key = fold(name)
  if (!rooms.has(key)) rooms.set(key, { name, lines: [], names: new Map(), topic: "", unread: false })
  return rooms.get(key)
}

function show(name) {
  current = fold(name)
  open(name).unread = false
  draw()
  $("text").focus()
}

function lineOf({ time, who, text, className }) {
  const item = document.createElement("li")
  const stamp = element("time", new Date(time * 1000).toTimeString().slice(0, 5))
  stamp.dateTime = new Date(time * 1000).toISOString()
  item.append(stamp)
  if (who) item.append(element("b", who), " ")
  item.append(element("span", text, className))
  return item
}

function add(room, line) {
  room.lines.push({ time: Math.floor(Date.now() / 1000), ...line })
  if (room.lines.length > LINES_MOST) room.lines.shift()
  if (fold(room.name) === current) {
    const list = $("lines"), atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40
    list.append(lineOf(room.lines.at(-1)))
    if (list.childElementCount > LINES_MOST) list.firstElementChild.remove()
    if (atEnd) list.scrollTop = list.scrollHeight
  } else {
    room.unread = true
    drawRooms()
  }
}

const news = (room, text) => add(room, { text, className: "news" })

function drawRooms() {
  $("rooms").replaceChildren(...[...rooms.values()].map(room => {
    const item = document.createElement("li"), button = element("button", room.name)
    if (fold(room.name) === current) button.setAttribute("aria-current", "true")
    if (room.unread) button.className = "unread"
    button.onclick = () => show(room.name)
    item.append(button)
    return item
  }))
}

function drawNames() {
  const room = rooms.get(current)
  const sorted = room ? [...room.names.values()].sort((a, b) => a.nick.localeCompare(b.nick)) : []
  $("names").replaceChildren(...sorted.map(one =>
    element("li", (one.operator ? "@" : one.voice ? "+" : "") + one.nick)))
}

function draw() {
  const room = rooms.get(current)
  $("room").textContent = room ? room.name : ""
  $("topic").textContent = room ? room.topic : ""
  $("lines").replaceChildren(...(room ? room.lines.map(lineOf) : []))
  $("lines").scrollTop = $("lines").scrollHeight
  drawRooms()
  drawNames()
}

const roomsWith = who => [...rooms.values()].filter(room => room.names.has(who))

function forget(room, who) {
  room.names.delete(who)
  drawNames()
}

const kinds = {
  welcome(event) {
    nick = event.nick
    isIn = true
    attempts = 0
    $("door").hidden = true
    $("chat").hidden = false
    $("state").textContent = `${event.network}, as ${nick}`
    const wanted = [...rooms.values()].map(room => room.name).filter(name => name.startsWith("#"))
    for (const name of wanted.length ? wanted : [event.room]) send("join", { room: name })
  },
  room(event) {
    const room = open(event.room)
    room.topic = event.topic
    room.names = new Map(event.names.map(one => [one.nick, one]))
    room.lines = event.history.map(one => ({ time: one.time, who: one.nick, text: one.text }))
    if (!current || !rooms.has(current)) current = fold(room.name)
    draw()
  },
  join(event) {
    if (event.nick === nick) return
    const room = open(event.room)
    room.names.set(event.nick, { nick: event.nick })
    news(room, `${event.nick} has come`)
    drawNames()
  },
  part(event) {
    if (event.nick === nick) {
      rooms.delete(fold(event.room))
      current = fold([...rooms.values()][0]?.name ?? "")
      return draw()
    }
    const room = open(event.room)
    forget(room, event.nick)
    news(room, `${event.nick} has left${event.text ? ": " + event.text : ""}`)
  },
  quit(event) {
    for (const room of roomsWith(event.nick)) {
      forget(room, event.nick)
      news(room, `${event.nick} is gone${event.text ? ": " + event.text : ""}`)
    }
  },
  kick(event) {
    const room = open(event.room)
    forget(room, event.whom)
    news(room, `${event.nick} has thrown ${event.whom} out: ${event.text}`)
  },
  nick(event) {
    if (event.nick === nick) {
      nick = event.new
      $("state").textContent = `as ${nick}`
    }
    for (const room of roomsWith(event.nick)) {
      room.names.set(event.new, { ...room.names.get(event.nick), nick: event.new })
      forget(room, event.nick)
      news(room, `${event.nick} is ${event.new} now`)
    }
  },
  topic(event) {
    const room = open(event.room)
    room.topic = event.text
    news(room, `${event.nick} has set the topic: ${event.text}`)
    if (fold(room.name) === current) $("topic").textContent = room.topic
  },
  mode(event) {
    const room = open(event.room), role = { o: "operator", v: "voice" }[event.mode]
    if (role && room.names.has(event.word)) room.names.get(event.word)[role] = event.on
    news(room, `${event.nick} has set ${event.on ? "+" : "-"}${event.mode} ${event.word ?? ""}`)
    drawNames()
  },
  message(event) {
    const place = event.room ?? (event.nick === nick ? event.to : event.nick)
    add(open(place), { time: event.time, who: event.nick, text: event.text })
  },
  notice(event) { kinds.message(event) },
  invite(event) {
    const room = rooms.get(current)
    if (room) news(room, `${event.nick} invites you to ${event.room}: /join ${event.room}`)
  },
  rooms(event) {
    const room = rooms.get(current)
    for (const one of event.rooms) if (room) news(room, `${one.name} (${one.count}) ${one.topic}`)
  },
  problem(event) {
    if (!isIn) {
      $("door-problem").textContent = event.text
      return
    }
    const room = rooms.get(current)
    if (room) add(room, { text: event.text, className: "bad" })
  },
}

// Comes back by itself, later each time, and not in step with all others.
function reconnect() {
  attempts++
  const seconds = Math.min(WAIT_MOST, 2 ** Math.min(attempts, 5)) * (0.5 + Math.random() / 2)
  $("state").textContent = `The connection is gone; trying again in ${Math.ceil(seconds)} s`
  setTimeout(connect, seconds * 1000)
}

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/chat`)
  socket.onopen = () => send("enter", { nick, password })
  socket.onmessage = message => {
    const event = JSON.parse(message.data)
    if (!isIn && event.kind === "problem" && event.code === "exists" && attempts > 0) {
      nick += "_" // the old connection is not known to be dead yet
      send("enter", { nick, password })
    } else {
      kinds[event.kind]?.(event)
    }
  }
  socket.onclose = () => {
    const wasIn = !$("chat").hidden
    isIn = false
    if (wasIn) reconnect()
    else $("door-problem").textContent ||= "No connection"
  }
}

const commands = {
  join: room => send("join", { room }),
  part: () => current.startsWith("#") ? send("part", { room: current }) : (rooms.delete(current), draw()),
  nick: word => send("nick", { nick: word }),
  topic: text => send("topic", { room: current, text }),
  kick: who => send("kick", { room: current, nick: who }),
  op: who => send("mode", { room: current, mode: "o", on: true, word: who }),
  rooms: () => send("rooms"),
  names() {
    const room = rooms.get(current)
    if (room) news(room, [...room.names.keys()].sort().join(", "))
  },
  msg(text) {
    const [, target, rest] = text.match(/^(\S+)\s*(.*)$/) ?? []
    if (target) (rest ? send("say", { target, text: rest }) : true) && show(target)
  },
  help() {
    const room = rooms.get(current)
    if (room) news(room, "/join #room, /part, /nick name, /topic text, /msg name text, /kick name, /op name, /names, /rooms")
  },
}

$("door").onsubmit = event => {
  event.preventDefault()
  $("door-problem").textContent = ""
  nick = $("nick").value.trim()
  password = $("password").value
  if (socket && socket.readyState === WebSocket.OPEN) send("enter", { nick, password })
  else connect()
}

$("say").onsubmit = event => {
  event.preventDefault()
  const text = $("text").value
  const [, name, rest] = text.match(/^\/(\w+)\s*(.*)$/) ?? []
  if (!text.trim()) return
  if (name ? commands[name]?.(rest) ?? true : send("say", { target: current, text })) $("text").value = ""
}
