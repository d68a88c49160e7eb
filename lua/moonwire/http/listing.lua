--- What is in a folder, as a page. Not for scripts.
local codec = require "moonwire.codec"

local listing = {}

local ESCAPED <const> = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

local PAGE <const> = [[
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>%s</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>body { font: 1rem/1.7 sans-serif; max-width: 50rem; margin: 1.5rem auto; padding: 0 1.25rem;
overflow-wrap: anywhere } ul { list-style: none; padding: 0 }</style></head>
<body>
<h1>%s</h1>
<ul>
%s
</ul>
</body>
</html>
]]

local function escape(text)
  return (text:gsub("[&<>\"']", ESCAPED))
end

-- Folders first; a link is shown as what it is called.
local function is_before(one, other)
  local one_first, other_first = one.kind == "folder", other.kind == "folder"
  if one_first ~= other_first then
    return one_first
  end
  return one.name < other.name
end

--- The page.
---@param path string of the folder, as the client sees it
---@param entries { name: string, kind: string }[] is sorted
---@param is_shown fun(name: string): boolean
---@return string html
function listing.page(path, entries, is_shown)
  local items = { path ~= "/" and '<li><a href="../">../</a></li>' or nil }
  table.sort(entries, is_before)
  for _, entry in ipairs(entries) do
    if is_shown(entry.name) then
      local slash = entry.kind == "folder" and "/" or ""
      items[#items + 1] = ('<li><a href="%s%s">%s%s</a></li>'):format(
        codec.url_encode(entry.name), slash, escape(entry.name), slash)
    end
  end
  local title = escape(path)
  return PAGE:format(title, title, table.concat(items, "\n"))
end

return listing
