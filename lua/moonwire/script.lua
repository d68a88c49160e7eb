--- Loading a script: from its file, or from the sources that a generation keeps.
--- Not for scripts.
local core = require "moonwire.core"

local script = {}

---@class moonwire.script_options
---@field script? string path of the file
---@field code? string the text instead of a file
---@field sources? table<string, string> path → text: taken instead of the file of that path

---@param path string
---@return string folder
function script.folder(path)
  return path:match("^(.*)/[^/]*$") or "."
end

-- A searcher for modules of the script's folder among the sources.
local function search_in(sources, folder)
  return function(name)
    local path = folder .. "/" .. name:gsub("%.", "/")
    for _, ending in ipairs { ".lua", "/init.lua" } do
      local text = sources[path .. ending]
      if text then
        local chunk, message = load(text, "@" .. path .. ending, "t")
        if not chunk then
          error(("error loading module '%s':\n\t%s"):format(name, message), 0)
        end
        return chunk, path .. ending
      end
    end
    return ("\n\tno source '%s.lua'"):format(path)
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
  local text = options.code or options.sources and options.sources[path]
  if text then
    return load(text, path and "@" .. path or "=(command line)", "t", env or _G)
  end
  return loadfile(path, "t", env or _G)
end

return script
