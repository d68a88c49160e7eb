-- The page of scripts/chat.lua: the three files beside this one, read when the service starts.
local NO_STORE <const> = "no-cache"
local POLICY <const> = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
  .. "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

local FILES <const> = {
  ["/"] = { "page", "html", "text/html; charset=utf-8" },
  ["/style.css"] = { "style", "css", "text/css; charset=utf-8" },
  ["/client.js"] = { "client", "js", "text/javascript; charset=utf-8" },
}

-- Where modules beside the script are found, these are too.
local function read(name, ending)
  local places = package.path:gsub("%.lua%f[;\0]", "." .. ending)
  local path = assert(package.searchpath("chat." .. name, places))
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local texts = {}
for path, file in pairs(FILES) do
  texts[path] = read(file[1], file[2])
end

local page = {}

function page.answer(request, response)
  local file = FILES[request.path]
  if not file then
    return response:status(404):send "there is only the page /\n"
  elseif request.method ~= "GET" and request.method ~= "HEAD" then
    return response:status(405):header("Allow", "GET, HEAD"):send "GET or HEAD\n"
  end
  response:header("Content-Type", file[3])
  response:header("Content-Security-Policy", POLICY)
  response:header("X-Content-Type-Options", "nosniff")
  response:header("Referrer-Policy", "no-referrer")
  response:header("Cache-Control", NO_STORE)
  response:send(texts[request.path])
end

return page
