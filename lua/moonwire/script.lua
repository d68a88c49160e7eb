--- Loading a script: from its file, or from the sources that a generation keeps.
--- Not for scripts.
local core = require "moonwire.core"

local script = {}

---@class moonwire.script_options
---@field script? string path of the file
---@field code? string the text instead of a file
--- Path → text: taken instead of the file of that path. The texts of further modules of the script's own are
--- added as they are required.
---@field sources? table<string, string>

---@param path string
---@return string folder
function script.folder(path)
  return path:match("^(.*)/[^/]*$") or "."
end

-- What a file may begin with as far as loadfile is concerned, but load is not: a mark of UTF-8, a line for
-- the shell.
local function load_text(text, path, env)
  text = text:gsub("^\xEF\xBB\xBF", ""):gsub("^#[^\n]*", "")
  return load(text, "@" .. path, "t", env)
end

local function read_file(path)
  local file <close> = io.open(path, "rb")
  return file and file:read("a")
end

-- The text of a module, and its path: one of the sources, or else what lies in the folder.
local function find_source(sources, folder, name)
  local path = folder .. "/" .. name:gsub("%.", "/")
  for _, read in ipairs { function(place) return sources[place] end, read_file } do
    for _, ending in ipairs { ".lua", "/init.lua" } do
      local text = read(path .. ending)
      if text then
        sources[path .. ending] = text
        return text, path .. ending
      end
    end
  end
  return nil, path
end

-- A searcher for modules of the script's folder.
local function search_in(sources, folder)
  return function(name)
    local text, path = find_source(sources, folder, name)
    if not text then
      return ("no source '%s.lua'"):format(path)
    end
    local chunk, message = load_text(text, path, _G)
    if not chunk then
      error(message, 0)
    end
    return chunk, path
  end
end

-- Modules beside the script are found first.
local function add_places(path, sources)
  local folder = script.folder(path)
  package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(folder, folder, package.path)
  if sources then
    table.insert(package.searchers, 2, search_in(sources, folder))
  end
end

--- The script as a function. In a sandboxed state it has a global table of its own.
---@param options moonwire.script_options
---@return function? chunk
---@return string? err
function script.load(options)
  local path, env = options.script, nil
  if core.sandbox then
    env = require "moonwire.sandbox".environment(path and script.folder(path), options.sources)
  elseif path then
    add_places(path, options.sources)
  end
  local text = options.sources and options.sources[path]
  if text then
    return load_text(text, path, env or _G)
  elseif options.code then
    return load(options.code, path and "@" .. path or "=(command line)", "t", env or _G)
  end
  return loadfile(path, "t", env or _G)
end

return script
