--- scripts/mail.lua for specs, in a process that kills itself right before the step of the number in
--- FATAL_STEP that changes the disk.
local core = require "moonwire.core"

local steps, fatal = 0, math.tointeger(tonumber(os.getenv "FATAL_STEP"))

local function count_steps(methods, names)
  for _, name in ipairs(names) do
    local method = methods[name]
    methods[name] = function(...)
      steps = steps + 1
      if steps == fatal then
        os.execute "kill -9 $PPID"
      end
      return method(...)
    end
  end
end

count_steps(core.file.folder_methods, { "write", "rename", "remove" })
count_steps(core.file.file_methods, { "write", "sync" })

return assert(loadfile "scripts/mail.lua")()
