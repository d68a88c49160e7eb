-- What is in a folder, for scripts/files.lua: as a page, or as JSON for programs.
local codec = require "moonwire.codec"
local http = require "moonwire.http"
local json = require "moonwire.json"

local POLICY <const> = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"

local PAGE <const> = http.template.compile [[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ path }}</title>
<link rel="icon" href="data:,">
<style>
body { max-width: 52rem; margin: 1.5rem auto; padding: 0 1.25rem; font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: 1.4rem; overflow-wrap: anywhere }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums }
td { padding: .45rem 0; border-top: 1px solid color-mix(in srgb, currentcolor 20%, transparent) }
td + td { text-align: right; padding-left: 1rem; white-space: nowrap; opacity: .75 }
a { overflow-wrap: anywhere }
@media (max-width: 36rem) { .time { display: none } }
</style>
</head>
<body>
<h1>{{ path }}</h1>
<table>
{% if path ~= "/" %}
<tr><td><a href="../">../</a><td><td class="time">
{% end %}
{% for entry in entries %}
<tr><td><a href="{{ entry.address }}">{{ entry.shown }}</a><td>{{ entry.size }}
<td class="time">{{ entry.modified | date("%Y-%m-%d %H:%M") }}
{% end %}
</table>
</body>
</html>
]]

local listing = {}

-- Files and folders that are no secret, with what is told of them.
local function entries_of(folder, path, found)
  local entries = json.array {}
  for _, entry in ipairs(found) do
    local status = entry.name:sub(1, 1) ~= "." and folder:stat(path .. entry.name)
    if status and (status.kind == "file" or status.kind == "folder") then
      entries[#entries + 1] = {
        name = entry.name, kind = status.kind, modified = status.modified,
        size = status.kind == "file" and status.size or nil,
        address = "./" .. codec.url_encode(entry.name) .. (status.kind == "folder" and "/" or ""),
      }
    end
  end
  return entries
end

local function to_page(path, entries)
  for _, entry in ipairs(entries) do
    entry.modified = math.floor(entry.modified)
    entry.shown = entry.name .. (entry.kind == "folder" and "/" or "")
  end
  return PAGE:render { path = path, entries = entries }
end

--- Answers with what is in a folder.
---@param folder moonwire.folder
---@param request moonwire.http.request its parameter `path` is "" or ends with a slash
---@param response moonwire.http.response
---@param most integer names
function listing.send(folder, request, response, most)
  local path = request.parameters.path
  local found, err, code = folder:list(path == "" and "." or path, { max = most })
  if not found then
    return response:refuse(err, code == "invalid" and "not_found" or code)
  end
  local entries = entries_of(folder, path, found)
  response:header("Vary", "Accept"):header("Cache-Control", "no-cache")
  if request.query == "json" or request:accepts("text/html", "application/json") == "application/json" then
    return response:header("Content-Type", "application/json"):send(json.encode(entries, { replace = true }))
  end
  response:header("Content-Security-Policy", POLICY)
  return response:html(to_page(request.path, entries))
end

return listing
