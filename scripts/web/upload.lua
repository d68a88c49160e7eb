-- A page of scripts/web.lua: a form for files, and the files that came.
local cors = require "moonwire.http.cors"
local file = require "moonwire.file"
local http = require "moonwire.http"
local pages = require "web.pages"

local MOST_DEFAULT <const> = 104857600
local FILES_MOST <const> = 100 -- of a form
local STATUSES <const> = { exists = 409, too_large = 413, full = 507, invalid = 400 }

local function files_of(folder)
  local files = {}
  for _, entry in ipairs(folder:list "." or {}) do
    files[#files + 1] = entry.kind == "file" and entry.name:sub(1, 1) ~= "." and entry or nil
  end
  return files
end

-- What became of a file, for the page, and as a status.
local function save(part, folder)
  local name = part.filename:gsub("^%.+", "_")
  local size, problem, code = part:save(folder, { name = name })
  if size then
    return { name = name, class = "good", text = ("%d bytes, saved"):format(size) }, 201
  elseif code == "exists" then
    problem = "is here already"
  end
  return { name = name, class = "bad", text = problem }, STATUSES[code] or 500
end

local upload = {}

--- Adds the page to a site.
---@param site table
---@param app moonwire.http.router
function upload.add(site, app)
  local folder = assert(file.root(site.upload)):keep()
  local most = site.upload_max or MOST_DEFAULT

  local function show(request, response, saved)
    pages.send(request, response, "upload", site, {
      title = "Upload", saved = saved, files = files_of(folder), most = ("%.4g MiB"):format(most / 1048576),
    })
  end

  app:get("/upload", function(request, response)
    show(request, response, {})
  end)
  app:mount("/upload", assert(http.static(folder, { index = false, disposition = "attachment" })))

  app:post("/upload", cors.protect(), function(request, response)
    local saved = {}
    request:limit_body(most)
    for part in request:parts { max_parts = FILES_MOST } do
      if part.filename and part.filename ~= "" then
        local line, status = save(part, folder)
        saved[#saved + 1] = line
        response:status(status)
      end
    end
    show(request, response, saved)
  end)
end

return upload
