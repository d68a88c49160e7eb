-- examples/json_api.lua — a small API in JSON: notes that are listed, added, read and removed.
--
--   build/moonwire run examples/json_api.lua --listen tcp://127.0.0.1:7010
-- In another terminal:
--   curl -s http://127.0.0.1:7010/notes --json '{"text": "milk"}'
--   curl -s http://127.0.0.1:7010/notes/1
--   curl -s http://127.0.0.1:7010/notes/1 -X DELETE -w '%{http_code}'
local http = require "moonwire.http"
local json = require "moonwire.json"

local notes, last = json.array {}, 0 -- of this worker and this generation
local app = http.router()

local function find(request, response)
  for place, note in ipairs(notes) do
    if note.id == request.parameters.id then
      return note, place
    end
  end
  response:problem(404, "no such note")
end

app:any("/", function(request, response)
  local body, err, code = request:read_all()
  if not body then
    return response:refuse(err, code)
  end
  response:json { notes = app:url "notes", received = #body }
end)

app:get("/notes", function(_, response)
  response:json(notes)
end):name "notes"

app:post("/notes", function(request, response)
  local note, err, code = request:json(65536)
  if note == nil then
    return response:refuse(err, code)
  elseif type(note) ~= "table" or type(note.text) ~= "string" or #notes >= 1000 then
    return response:problem(422, "a note has a text, and there are 1000 at most")
  end
  last = last + 1
  notes[#notes + 1] = { id = last, text = note.text }
  response:header("Location", app:url("note", { id = last })):json(notes[#notes], 201)
end)

app:get("/notes/:id<integer>", function(request, response)
  local note = find(request, response)
  return note and response:json(note)
end):name "note"

app:delete("/notes/:id<integer>", function(request, response)
  local note, place = find(request, response)
  if note then
    table.remove(notes, place)
    response:status(204):send()
  end
end)

return http.service(app)
